//! What a viewer, a stream and a publisher cost the server in memory: resident size before and after, divided.
//!
//! Each row is a server of its own. Media flows while viewers join, so that whatever is made on the first packet is there.

use anyhow::Result;
use serde_json::json;

use super::{Outcome, Run};
use crate::load::report::Table;
use crate::load::rig::Rig;
use crate::load::setup::{Setup, Shape};
use crate::load::target::Target;

/// What was seated, and what the server's memory grew by.
struct Row {
    target: String,
    what: String,
    count: usize,
    grown_bytes: u64,
    resident_bytes: u64,
}

/// Viewers of one publisher, with video alone and with audio; then publishers whom nobody watches.
pub fn memory(run: &mut Run<'_>, viewers: &[usize]) -> Result<Outcome> {
    let mut rows = Vec::new();
    for target in run.targets.clone() {
        for audio in [false, true] {
            for count in viewers {
                let setup = Setup { shape: Shape::broadcast(*count), audio, ..run.setup.clone() };
                rows.push(viewers_row(run, &target, &setup)?);
            }
        }
        let shape = Shape { rooms: 1, publishers: PUBLISHERS, viewers: 0 };
        let setup = Setup { shape, audio: true, ..run.setup.clone() };
        rows.push(publishers_row(run, &target, &setup)?);
    }
    let table = table(&rows);
    Ok(Outcome { table, ..Outcome::default() })
}

fn viewers_row(run: &mut Run<'_>, target: &Target, setup: &Setup) -> Result<Row> {
    let mut rig = Rig::with_publishers(target, setup)?;
    let before = rig.usage()?.resident_bytes;
    rig.fill()?;
    let streams = if setup.audio { "audio and video" } else { "video" };
    tell(run, target, rig, &format!("viewers of {streams}"), setup.shape.watching(), before)
}

fn publishers_row(run: &mut Run<'_>, target: &Target, setup: &Setup) -> Result<Row> {
    // The first publisher of a server pays for what all share.
    let first = Setup { shape: Shape::broadcast(0), ..setup.clone() };
    let mut rig = Rig::with_publishers(target, &first)?;
    rig.reactor.resume()?;
    rig.rest(FLOWING)?;
    let before = rig.usage()?.resident_bytes;
    rig.add_publishers(setup)?;
    rig.reactor.resume()?;
    rig.rest(FLOWING)?;
    tell(run, target, rig, "publishers of audio and video", setup.shape.sources(), before)
}

fn tell(run: &mut Run<'_>, target: &Target, rig: Rig, what: &str, count: usize, before: u64) -> Result<Row> {
    let resident_bytes = rig.usage()?.resident_bytes;
    rig.close()?;
    let (target_name, what) = (target.label.clone(), what.to_owned());
    let row =
        Row { target: target_name, what, count, grown_bytes: resident_bytes.saturating_sub(before), resident_bytes };
    run.tell(
        "memory",
        target,
        json!({ "what": row.what, "count": count, "bytesEach": row.bytes_each(), "residentBytes": resident_bytes }),
    );
    eprintln!("{}: {count} {}: {:.0} bytes each", row.target, row.what, row.bytes_each());
    Ok(row)
}

impl Row {
    fn bytes_each(&self) -> f64 {
        self.grown_bytes as f64 / self.count.max(1) as f64
    }
}

fn table(rows: &[Row]) -> String {
    let mut table = Table::new(&["KiB each", "resident, MiB"].map(str::to_owned));
    for row in rows {
        let cells = [
            format!("{:.1}", row.bytes_each() / 1024.0),
            format!("{:.1}", row.resident_bytes as f64 / f64::from(1 << 20)),
        ];
        table.row(&format!("{}: {} {}", row.target, row.count, row.what), cells);
    }
    table.text()
}

const PUBLISHERS: usize = 100;
/// Long enough for every publisher's rings to fill.
const FLOWING: std::time::Duration = std::time::Duration::from_secs(5);

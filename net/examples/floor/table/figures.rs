//! What the turns of a configuration gave, told as median and spread, and as a part of one of them.
//!
//! Nanoseconds of two runs say little to each other; ratios within one do. The one they are told of is the common case: a hundred
//! viewers on one socket, trains of eight, loopback.

use super::turn::{Configuration, Sample};
use crate::arguments::Io;

pub(crate) struct Row<'a> {
    pub(crate) configuration: Configuration<'a>,
    samples: Vec<Sample>,
}

#[derive(Clone, Copy, Debug)]
struct Figures {
    median: f64,
    /// Median absolute deviation, as a part of the median.
    spread: f64,
    packets_per_wake_up: f64,
}

impl<'a> Row<'a> {
    pub(crate) fn new(configuration: Configuration<'a>) -> Self {
        Self { configuration, samples: Vec::new() }
    }

    pub(crate) fn add(&mut self, sample: Sample) {
        self.samples.push(sample);
    }

    fn figures(&self) -> Figures {
        let median = median(self.samples.iter().map(|sample| sample.ns_per_packet));
        let deviation = self::median(self.samples.iter().map(|sample| (sample.ns_per_packet - median).abs()));
        let packets_per_wake_up = self::median(self.samples.iter().map(|sample| sample.packets_per_wake_up));
        Figures { median, spread: deviation / median, packets_per_wake_up }
    }

    /// Whether all others are told as a part of this one.
    fn is_reference(&self) -> bool {
        let Configuration { sink, way, viewers, burst } = self.configuration;
        sink.name() == "lo" && way.io == Io::Mmsg && !way.connected && way.segments > 1 && viewers == 100 && burst == 8
    }

    fn title(&self) -> String {
        let Configuration { sink, way, viewers, .. } = self.configuration;
        format!("{} | {viewers} | {} | {} | {}", sink.name(), sending(way.segments), sockets(way.connected), io(way.io))
    }
}

/// One line for each way and audience; the bursts stand side by side.
pub(crate) fn print(rows: &[Row<'_>], bursts: &[u16]) {
    let reference = reference(rows);
    println!("CPU time of the forwarding thread in ns per forwarded packet, its spread, and its ratio to the row");
    println!("of 100 viewers on one socket, GSO, mmsg, lo, 8 packets a wake-up.\n");
    let heads: String = bursts.iter().map(|burst| format!(" {burst} a wake-up |")).collect();
    println!("| to | viewers | trains | sockets | by |{heads}");
    println!("| --- | ---: | --- | --- | --- |{}", " ---: |".repeat(bursts.len()));
    for line in rows.chunks(bursts.len()) {
        let cells: String = line.iter().map(|row| cell(&row.figures(), reference)).collect();
        println!("| {} |{cells}", line.first().map(Row::title).unwrap_or_default());
    }
}

fn cell(figures: &Figures, reference: Option<f64>) -> String {
    let ratio = reference.map_or_else(String::new, |reference| format!(" ({:.2})", figures.median / reference));
    format!(" {:.0} ±{:.0} %{ratio} |", figures.median, 100.0 * figures.spread)
}

/// One line for each configuration.
pub(crate) fn print_json(rows: &[Row<'_>]) {
    let reference = reference(rows);
    for row in rows {
        let (Configuration { sink, way, viewers, burst }, figures) = (row.configuration, row.figures());
        let ratio = reference.map_or_else(|| "null".into(), |reference| format!("{:.3}", figures.median / reference));
        println!(
            r#"{{"sink":"{}","io":"{}","connected":{},"segments":{},"viewers":{viewers},"burst":{burst},"ns":{:.1},"spread":{:.4},"ratio":{ratio},"packets_per_wake_up":{:.2},"turns":{}}}"#,
            sink.name(),
            io(way.io),
            way.connected,
            way.segments,
            figures.median,
            figures.spread,
            figures.packets_per_wake_up,
            row.samples.len()
        );
    }
}

fn reference(rows: &[Row<'_>]) -> Option<f64> {
    rows.iter().find(|row| row.is_reference()).map(|row| row.figures().median)
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match (values.get(middle), values.get(middle.wrapping_sub(1))) {
        (Some(&upper), Some(&lower)) if values.len().is_multiple_of(2) => f64::midpoint(lower, upper),
        (Some(&middle), _) => middle,
        (None, _) => f64::NAN,
    }
}

fn io(io: Io) -> &'static str {
    match io {
        Io::Mmsg => "mmsg",
        Io::Uring => "uring",
    }
}

fn sending(segments: u16) -> &'static str {
    if segments > 1 { "GSO" } else { "lone" }
}

fn sockets(connected: bool) -> &'static str {
    if connected { "connected" } else { "one" }
}

//! `floor table`: what a forwarded packet costs in every way of forwarding it, by turns.
//!
//! In each round every configuration has one turn, so that a slow minute of the machine falls on all of them; told is the median of
//! the turns, with their spread. Measured is the CPU time of the forwarding thread alone. On loopback that includes what the
//! receivers' half of the kernel does until their socket filter drops the packet.

mod sink;
mod driver;
mod turn;
mod figures;

use std::io;

use self::driver::Driver;
use self::figures::Row;
use self::sink::Sink;
use self::turn::Configuration;
use crate::arguments::{Io, Table, Way};
use crate::system;

pub(crate) fn run(table: &Table) -> io::Result<()> {
    let sinks = Sink::open(table.sink, table.viewers.iter().copied().max().unwrap_or(0).into())?;
    if sinks.is_empty() {
        return Ok(());
    }
    system::pin(table.driver_core)?;
    let mut rows = configurations(table, &sinks);
    for round in 1..=table.rounds {
        eprintln!("floor: round {round} of {}, {} configurations", table.rounds, rows.len());
        for row in &mut rows {
            let driver = Driver::new(row.configuration.sink.address())?;
            row.add(turn::take(&row.configuration, driver, table)?);
        }
    }
    if table.json {
        figures::print_json(&rows)
    } else {
        figures::print(&rows, &table.bursts)
    }
    Ok(())
}

/// Every combination, in the order in which the table tells them.
fn configurations<'a>(table: &Table, sinks: &'a [Sink]) -> Vec<Row<'a>> {
    let mut rows = Vec::new();
    for sink in sinks {
        for (&viewers, way) in table.viewers.iter().flat_map(|viewers| ways().map(move |way| (viewers, way))) {
            for &burst in &table.bursts {
                rows.push(Row::new(Configuration { sink, way, viewers: viewers.into(), burst: burst.into() }));
            }
        }
    }
    rows
}

fn ways() -> impl Iterator<Item = Way> {
    let segments = [64, 1].into_iter();
    segments.flat_map(|segments| {
        [false, true].into_iter().flat_map(move |connected| {
            [Io::Mmsg, Io::Uring].into_iter().map(move |io| Way { io, connected, segments, spin_us: 0 })
        })
    })
}

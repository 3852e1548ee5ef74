//! The delays of a window's packets, and which of them nothing but the target can have caused.

use anyhow::Result;
use hdrhistogram::Histogram;

use super::reactor::histogram;
use crate::standstill::Standstill;

/// Delays, and when each packet was planned.
pub(super) struct Delays {
    all: Histogram<u64>,
    /// Planned time and delay of each, up to a bound.
    samples: Vec<(u64, u64)>,
}

/// The delays of packets that met no standstill of the machine, and how much of it there was.
#[derive(Clone, Debug)]
pub struct Calm {
    /// Nanoseconds.
    pub delays: Histogram<u64>,
    pub standstills: u64,
    pub stood_ns: u64,
}

impl Delays {
    pub(super) fn new() -> Result<Self> {
        Ok(Self { all: histogram()?, samples: Vec::new() })
    }

    pub(super) fn record(&mut self, planned_ns: u64, delay_ns: u64) {
        self.all.saturating_record(delay_ns);
        if self.samples.len() < SAMPLES_MAX {
            self.samples.push((planned_ns, delay_ns));
        }
    }

    pub(super) fn reset(&mut self) {
        self.all.reset();
        self.samples.clear();
    }

    pub(super) fn all(&self) -> &Histogram<u64> {
        &self.all
    }

    pub(super) fn calm(&self, standstills: &[Standstill]) -> Calm {
        let delays = self.of(|planned_ns| !standstills.iter().any(|standstill| standstill.disturbs(planned_ns)));
        let lengths = self.within(standstills).map(|standstill| standstill.length().as_nanos() as u64);
        Calm { delays, standstills: lengths.clone().count() as u64, stood_ns: lengths.sum() }
    }

    /// The delays of packets that were planned before this time.
    pub(super) fn before(&self, time_ns: u64) -> Histogram<u64> {
        self.of(|planned_ns| planned_ns < time_ns)
    }

    fn of(&self, is_one: impl Fn(u64) -> bool) -> Histogram<u64> {
        let mut delays = self.all.clone();
        delays.reset();
        let chosen = self.samples.iter().filter(|(planned_ns, _)| is_one(*planned_ns));
        chosen.for_each(|(_, delay_ns)| delays.saturating_record(*delay_ns));
        delays
    }

    /// Those between the first packet and the last.
    fn within<'a>(&self, standstills: &'a [Standstill]) -> impl Iterator<Item = &'a Standstill> + Clone {
        let planned = || self.samples.iter().map(|(planned_ns, _)| *planned_ns);
        let (first, last) = (planned().min().unwrap_or_default(), planned().max().unwrap_or_default());
        standstills.iter().filter(move |found| found.from_ns <= last && found.until_ns >= first)
    }
}

/// 64 MiB. What comes behind is in the distribution of all alone.
const SAMPLES_MAX: usize = 1 << 22;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_met_a_standstill_is_set_apart() {
        let mut delays = Delays::new().unwrap();
        (0..100).for_each(|packet| delays.record(packet * 1_000_000, 50_000));
        delays.record(30_500_000, 9_000_000);
        // Four milliseconds, sixteen until all is as before, and two before it.
        let behind = Standstill { from_ns: 200_000_000, until_ns: 201_000_000 };
        let calm = delays.calm(&[Standstill { from_ns: 31_000_000, until_ns: 35_000_000 }, behind]);
        assert_eq!((delays.all().len(), calm.delays.len()), (101, 77));
        assert!(calm.delays.max() < 51_000 && delays.all().max() > 8_000_000);
        assert_eq!((calm.standstills, calm.stood_ns), (1, 4_000_000));
        assert_eq!(delays.before(30_000_001).len(), 31);
        delays.reset();
        assert!(delays.calm(&[]).delays.is_empty());
    }
}

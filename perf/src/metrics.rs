//! The samples of `/metrics`, for tests and reports.

use std::collections::BTreeMap;

/// The samples of `/metrics`: name and labels as they stand, and the value.
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    samples: BTreeMap<String, f64>,
}

impl Metrics {
    pub fn parse(text: &str) -> Self {
        let sample = |line: &str| -> Option<(String, f64)> {
            let (name, value) = line.rsplit_once(' ')?;
            Some((name.to_owned(), value.parse().ok()?))
        };
        Self { samples: text.lines().filter(|line| !line.starts_with('#')).filter_map(sample).collect() }
    }

    /// The largest sample of this name, whatever its labels.
    pub fn max(&self, name: &str) -> Option<f64> {
        self.matching(name).map(|(_, value)| value).reduce(f64::max)
    }

    /// The sum of all samples of this name, whatever their labels. Counters may or may not carry `_total`.
    pub fn sum(&self, name: &str) -> f64 {
        self.matching(name).map(|(_, value)| value).sum()
    }

    /// The sum of the samples of this name that carry all of these labels; an empty value stands for any.
    pub fn labelled(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let carries = |key: &str| {
            labels.iter().all(|(label, value)| match *value {
                "" => key.contains(&format!("{label}=\"")),
                value => key.contains(&format!("{label}=\"{value}\"")),
            })
        };
        self.matching(name).filter(|(key, _)| carries(key)).map(|(_, value)| value).sum()
    }

    pub fn has(&self, name: &str) -> bool {
        self.matching(name).next().is_some()
    }

    /// Every sample whose name starts so.
    pub fn starting_with<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = (&'a str, f64)> {
        self.samples.iter().filter(move |(key, _)| key.starts_with(prefix)).map(|(key, value)| (key.as_str(), *value))
    }

    fn matching<'a>(&'a self, name: &'a str) -> impl Iterator<Item = (&'a str, f64)> {
        self.samples
            .iter()
            .filter(move |(key, _)| {
                key.split('{').next().is_some_and(|own| own == name || own.strip_suffix("_total") == Some(name))
            })
            .map(|(key, value)| (key.as_str(), *value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_are_summed_over_their_labels() {
        let metrics = Metrics::parse(
            "# HELP x y\na_total{shard=\"0\",reason=\"r\"} 3\na_total{shard=\"1\",reason=\"s\"} 4\nb 1.5\n",
        );
        assert!((metrics.sum("a") - 7.0).abs() < 1e-9);
        assert!((metrics.sum("a_total") - 7.0).abs() < 1e-9);
        assert!((metrics.labelled("a", &[("reason", "s"), ("shard", "")]) - 4.0).abs() < 1e-9);
        assert_eq!((metrics.max("a"), metrics.max("b"), metrics.max("c")), (Some(4.0), Some(1.5), None));
        assert!(metrics.has("b") && !metrics.has("c"));
    }
}

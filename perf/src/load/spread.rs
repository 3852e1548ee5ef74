//! Median and spread: what is said of a figure that was taken several times.

use serde::Serialize;

/// The middle of several values, and their ends.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Spread {
    pub median: f64,
    pub min: f64,
    pub max: f64,
    pub count: usize,
}

impl Spread {
    /// `None` of no values.
    pub fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        let (min, max) = (*values.first()?, *values.last()?);
        let (low, high) = (values[(values.len() - 1) / 2], values[values.len() / 2]);
        Some(Self { median: f64::midpoint(low, high), min, max, count: values.len() })
    }

    /// Of a figure that some may lack; a dash where all do.
    pub fn text_of(values: impl IntoIterator<Item = f64>, digits: usize) -> String {
        Self::of(values).map_or_else(|| "-".to_owned(), |spread| spread.text(digits))
    }

    /// `median (min..max)`, with so many digits behind the point.
    pub fn text(&self, digits: usize) -> String {
        let Self { median, min, max, .. } = self;
        format!("{median:.digits$} ({min:.digits$}..{max:.digits$})")
    }
}

/// Whether so many turns, of all, could be told as to speak for them: half.
pub(super) const fn is_enough(told: usize, turns: usize) -> bool {
    2 * told >= turns
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_of_an_even_number_lies_between_two() {
        let spread = Spread::of([4.0, 1.0, 3.0, 2.0]).unwrap();
        assert_eq!((spread.median, spread.min, spread.max, spread.count), (2.5, 1.0, 4.0, 4));
        assert_eq!(spread.text(1), "2.5 (1.0..4.0)");
        assert_eq!(Spread::of([7.0]).map(|spread| spread.median), Some(7.0));
        assert_eq!(Spread::of([]), None);
    }
}

//! From a value to a place on an axis, and which values get a mark.

/// How an axis counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Linear,
    Logarithmic,
    /// Quantiles of 0..1, each nine as far from the one before.
    Percentiles,
}

/// An axis without its ends.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scale {
    kind: Kind,
}

/// An axis between its ends.
#[derive(Clone, Copy, Debug)]
pub(super) struct Axis {
    kind: Kind,
    low: f64,
    high: f64,
}

impl Scale {
    pub(super) fn from_zero() -> Self {
        Self { kind: Kind::Linear }
    }

    pub(super) fn logarithmic() -> Self {
        Self { kind: Kind::Logarithmic }
    }

    pub(super) fn percentiles() -> Self {
        Self { kind: Kind::Percentiles }
    }

    /// The axis that holds all of these values, with a little room at its ends.
    pub(super) fn axis(self, values: impl IntoIterator<Item = f64>) -> Axis {
        let kind = self.kind;
        let at = values.into_iter().map(|value| kind.position(value));
        let (low, high) = at.fold((f64::MAX, f64::MIN), |(low, high), at| (low.min(at), high.max(at)));
        let (low, high) = match kind {
            Kind::Linear => (0.0, if high > 0.0 { high * 1.08 } else { 1.0 }),
            Kind::Logarithmic => (low - 0.08, high.max(low + 0.5) + 0.08),
            Kind::Percentiles => (0.0, high.max(1.0)),
        };
        Axis { kind, low, high }
    }
}

impl Kind {
    fn position(self, value: f64) -> f64 {
        match self {
            Self::Linear => value,
            Self::Logarithmic => value.max(1e-9).log10(),
            Self::Percentiles => -(1.0 - value).max(QUANTILE_REST_MIN).log10(),
        }
    }
}

impl Axis {
    /// 0 at the lower end, 1 at the upper one.
    pub(super) fn share(self, value: f64) -> f64 {
        (self.kind.position(value) - self.low) / (self.high - self.low)
    }

    /// Values to be marked, with what stands beside each.
    pub(super) fn marks(self) -> Vec<(f64, String)> {
        let inside = |value: &f64| (-1e-6..=1.000_001).contains(&self.share(*value));
        let values: Vec<f64> = match self.kind {
            Kind::Linear => (0..=20).map(|count| f64::from(count) * linear_step(self.high)).collect(),
            Kind::Logarithmic => logarithmic_marks(self.high - self.low),
            Kind::Percentiles => vec![0.0, 0.5, 0.9, 0.99, 0.999, 0.9999],
        };
        values.into_iter().filter(inside).map(|value| (value, self.text(value))).collect()
    }

    fn text(self, value: f64) -> String {
        match self.kind {
            Kind::Percentiles => format!("{}", (value * 1e6).round() / 1e4),
            Kind::Linear | Kind::Logarithmic => number(value),
        }
    }
}

/// A round step that gives four to eight marks.
fn linear_step(high: f64) -> f64 {
    let rough = high / 5.0;
    let power = 10_f64.powf(rough.log10().floor());
    [1.0, 2.0, 5.0, 10.0].into_iter().map(|step| step * power).find(|step| *step >= rough * 0.75).unwrap_or(power)
}

/// Powers of ten, and where those are few, 2 and 5 between them.
fn logarithmic_marks(decades: f64) -> Vec<f64> {
    let between: &[f64] = if decades < 3.2 { &[1.0, 2.0, 5.0] } else { &[1.0] };
    (-6..10).flat_map(|power| between.iter().map(move |step| step * 10_f64.powi(power))).collect()
}

/// Thousands are set apart; small numbers keep their digits.
pub(super) fn number(value: f64) -> String {
    if value.abs() < 10.0 {
        return format!("{}", (value * 1e4).round() / 1e4);
    }
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Beyond five nines nothing is drawn.
const QUANTILE_REST_MIN: f64 = 1e-5;

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(axis: Axis) -> Vec<String> {
        axis.marks().into_iter().map(|(_, text)| text).collect()
    }

    #[test]
    fn marks_are_round() {
        assert_eq!(texts(Scale::from_zero().axis([3.0, 2300.0])), ["0", "500", "1,000", "1,500", "2,000"]);
        assert_eq!(texts(Scale::logarithmic().axis([10.0, 1000.0])), ["10", "20", "50", "100", "200", "500", "1,000"]);
    }

    #[test]
    fn each_nine_is_as_far_as_the_one_before() {
        let axis = Scale::percentiles().axis([0.0, 0.999]);
        assert_eq!(texts(axis), ["0", "50", "90", "99", "99.9"]);
        let nines = [0.9, 0.99, 0.999].map(|quantile| axis.share(quantile));
        assert!((nines[1] - nines[0] - (nines[2] - nines[1])).abs() < 1e-9);
        assert!(axis.share(1.0).is_finite());
    }
}

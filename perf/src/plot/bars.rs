//! Horizontal bars: one figure for each name, written at the bar's end.

use super::scale::number;
use super::svg::{Anchor, INK, QUIET, Svg, colour};

/// A name, its figure, and what is said of it.
pub(super) struct Bar {
    pub(super) name: String,
    pub(super) value: f64,
    pub(super) note: String,
}

/// `None` when there is nothing to show.
pub(super) fn svg(title: &str, subtitle: &str, bars: &[Bar]) -> Option<String> {
    let most = bars.iter().map(|bar| bar.value).reduce(f64::max).filter(|most| *most > 0.0)?;
    let mut svg = Svg::new(WIDTH, TOP + STEP * bars.len() as f64 + 16.0);
    svg.bold((30.0, 30.0), title);
    svg.text((30.0, 50.0), subtitle, 13, QUIET, Anchor::Start);
    for (place, bar) in bars.iter().enumerate() {
        let y = TOP + STEP * place as f64;
        let width = (RIGHT - LEFT) * bar.value / most;
        svg.text((LEFT - 12.0, y + 19.0), &bar.name, 13, INK, Anchor::End);
        svg.bar((LEFT, y), (width, STEP - 12.0), colour(place));
        let text = format!("{}  {}", number(bar.value), bar.note);
        svg.text((LEFT + width + 10.0, y + 19.0), &text, 13, INK, Anchor::Start);
    }
    Some(svg.finish())
}

const WIDTH: f64 = 880.0;
const LEFT: f64 = 200.0;
const RIGHT: f64 = 640.0;
const TOP: f64 = 76.0;
const STEP: f64 = 40.0;

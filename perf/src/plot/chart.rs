//! A line chart: axes with units, a line for each series, and its name at the line's end.

use super::scale::{Axis, Scale};
use super::svg::{Anchor, GRID, INK, QUIET, Svg, colour};

pub(super) struct Chart {
    pub(super) title: String,
    pub(super) subtitle: String,
    /// What an axis shows, and how it counts.
    pub(super) x: (String, Scale),
    pub(super) y: (String, Scale),
    pub(super) series: Vec<Series>,
}

pub(super) struct Series {
    pub(super) name: String,
    pub(super) points: Vec<Point>,
}

/// A value, and the ends of its spread where it has one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Point {
    pub(super) x: f64,
    pub(super) y: f64,
    pub(super) spread: Option<(f64, f64)>,
}

/// The axes in place.
struct Plane {
    x: Axis,
    y: Axis,
}

impl Chart {
    /// `None` when there is nothing to show.
    pub(super) fn svg(&self) -> Option<String> {
        let points = || self.series.iter().flat_map(|series| &series.points);
        points().next()?;
        let heights = points().flat_map(|point| [point.y, point.spread.map_or(point.y, |(_, high)| high)]);
        let plane = Plane { x: self.x.1.axis(points().map(|point| point.x)), y: self.y.1.axis(heights) };
        let mut svg = Svg::new(WIDTH, HEIGHT);
        svg.bold((LEFT - 48.0, 30.0), &self.title);
        svg.text((LEFT - 48.0, 50.0), &self.subtitle, 13, QUIET, Anchor::Start);
        self.draw_axes(&mut svg, &plane);
        for (place, series) in self.series.iter().enumerate() {
            series.draw(&mut svg, &plane, colour(place));
        }
        self.draw_names(&mut svg, &plane);
        Some(svg.finish())
    }

    fn draw_axes(&self, svg: &mut Svg, plane: &Plane) {
        for (value, text) in plane.y.marks() {
            let y = plane.y_at(value);
            svg.line((LEFT, y), (RIGHT, y), GRID, 1.0);
            svg.text((LEFT - 8.0, y + 4.0), &text, 12, QUIET, Anchor::End);
        }
        for (value, text) in plane.x.marks() {
            let x = plane.x_at(value);
            svg.line((x, BOTTOM), (x, BOTTOM + 5.0), QUIET, 1.0);
            svg.text((x, BOTTOM + 20.0), &text, 12, QUIET, Anchor::Middle);
        }
        svg.line((LEFT, BOTTOM), (RIGHT, BOTTOM), QUIET, 1.0);
        svg.text((LEFT - 48.0, TOP - 14.0), &self.y.0, 13, INK, Anchor::Start);
        svg.text((f64::midpoint(LEFT, RIGHT), BOTTOM + 42.0), &self.x.0, 13, INK, Anchor::Middle);
    }

    /// Names stand at the ends of their lines, moved apart where they would cover each other.
    fn draw_names(&self, svg: &mut Svg, plane: &Plane) {
        let ends = self.series.iter().enumerate().filter_map(|(place, series)| {
            let last = series.points.last()?;
            Some((plane.y_at(last.y), plane.x_at(last.x), place))
        });
        let mut ends: Vec<(f64, f64, usize)> = ends.collect();
        ends.sort_by(|one, other| one.0.total_cmp(&other.0));
        let heights = apart(&ends.iter().map(|end| end.0).collect::<Vec<_>>(), NAME_HEIGHT, BOTTOM);
        for ((_, x, place), y) in ends.into_iter().zip(heights) {
            svg.text((x + 10.0, y + 4.0), &self.series[place].name, 13, colour(place), Anchor::Start);
        }
    }
}

impl Series {
    fn draw(&self, svg: &mut Svg, plane: &Plane, colour: &str) {
        let places: Vec<(f64, f64)> =
            self.points.iter().map(|point| (plane.x_at(point.x), plane.y_at(point.y))).collect();
        svg.path(&places, colour);
        for (point, place) in self.points.iter().zip(&places) {
            if let Some((low, high)) = point.spread {
                svg.line((place.0, plane.y_at(low)), (place.0, plane.y_at(high)), colour, 1.2);
                svg.dot(*place, colour);
            }
        }
    }
}

impl Plane {
    fn x_at(&self, value: f64) -> f64 {
        LEFT + (RIGHT - LEFT) * self.x.share(value)
    }

    fn y_at(&self, value: f64) -> f64 {
        BOTTOM - (BOTTOM - TOP) * self.y.share(value)
    }
}

/// Heights in rising order, moved so that none is nearer to the next than `gap`, nor beyond `limit`.
fn apart(heights: &[f64], gap: f64, limit: f64) -> Vec<f64> {
    let mut moved: Vec<f64> = Vec::with_capacity(heights.len());
    for height in heights {
        moved.push(moved.last().map_or(*height, |above| height.max(above + gap)));
    }
    let mut below = limit + gap;
    for height in moved.iter_mut().rev() {
        *height = height.min(below - gap);
        below = *height;
    }
    moved
}

const WIDTH: f64 = 880.0;
const HEIGHT: f64 = 500.0;
const LEFT: f64 = 78.0;
/// Room for names stays beyond.
const RIGHT: f64 = 690.0;
const TOP: f64 = 92.0;
const BOTTOM: f64 = 438.0;
const NAME_HEIGHT: f64 = 16.0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_do_not_cover_each_other() {
        assert_eq!(apart(&[10.0, 12.0, 90.0], 16.0, 100.0), [10.0, 26.0, 90.0]);
        assert_eq!(apart(&[95.0, 96.0], 16.0, 100.0), [84.0, 100.0]);
    }

    #[test]
    fn a_chart_of_nothing_is_none() {
        let axis = || ("x".to_owned(), Scale::from_zero());
        let chart = Chart { title: String::new(), subtitle: String::new(), x: axis(), y: axis(), series: Vec::new() };
        assert!(chart.svg().is_none());
    }
}

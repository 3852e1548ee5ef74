//! Drawings of what lines of JSON tell: one SVG file for each question that the lines can answer.
//!
//! [`draw`] reads lines, of as many runs as there are, and writes what it finds: CPU time over viewers, delay as a percentile
//! curve, memory over a churn, the largest clean audience. Refused windows have no figures and are left out.

mod svg;
mod scale;
mod chart;
mod bars;
mod record;

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};

use chart::{Chart, Series};
use record::Records;
use scale::Scale;

/// Draws everything that can be drawn of these files into a directory; returns the files it wrote.
pub fn draw(files: &[PathBuf], out: &Path) -> Result<Vec<PathBuf>> {
    let mut text = String::new();
    for file in files {
        text.push_str(&std::fs::read_to_string(file).with_context(|| file.display().to_string())?);
        text.push('\n');
    }
    let drawings = drawings(&Records::parse(&text));
    ensure!(!drawings.is_empty(), "nothing to draw in these files");
    std::fs::create_dir_all(out)?;
    let write = |(name, svg): (String, String)| {
        let path = out.join(name);
        std::fs::write(&path, svg).with_context(|| path.display().to_string())?;
        Ok(path)
    };
    drawings.into_iter().map(write).collect()
}

/// File names and their contents.
fn drawings(records: &Records) -> Vec<(String, String)> {
    let mut drawings = Vec::new();
    drawings.extend(cost(records).map(|svg| ("cpu.svg".to_owned(), svg)));
    drawings.extend(ratio(records).map(|svg| ("cpu-of-floor.svg".to_owned(), svg)));
    drawings.extend(records.delay_groups().into_iter().filter_map(|(group, series)| {
        let name = format!("delay-{}.svg", group.replace(|letter: char| !letter.is_ascii_alphanumeric(), "-"));
        Some((name, delay(&group, series)?))
    }));
    drawings.extend(churn(records).map(|svg| ("churn.svg".to_owned(), svg)));
    drawings.extend(capacity(records).map(|svg| ("capacity.svg".to_owned(), svg)));
    drawings
}

fn cost(records: &Records) -> Option<String> {
    Chart {
        title: "Server CPU time per forwarded packet".to_owned(),
        subtitle: "one publisher; median of windows in turns, bars from least to most".to_owned(),
        x: ("viewers".to_owned(), Scale::logarithmic()),
        y: ("ns per packet".to_owned(), Scale::from_zero()),
        series: records.cost_over_viewers(),
    }
    .svg()
}

fn ratio(records: &Records) -> Option<String> {
    Chart {
        title: "Server CPU time per forwarded packet, as a multiple of the floor's".to_owned(),
        subtitle: "one publisher; ratio within each turn: median, bars from least to most".to_owned(),
        x: ("viewers".to_owned(), Scale::logarithmic()),
        y: ("times the floor".to_owned(), Scale::from_zero()),
        series: records.ratio_over_viewers(),
    }
    .svg()
}

fn delay(group: &str, series: Vec<Series>) -> Option<String> {
    Chart {
        title: "Delay from the planned send time to the viewer's kernel".to_owned(),
        subtitle: group.to_owned(),
        x: ("percentile".to_owned(), Scale::percentiles()),
        y: ("ms".to_owned(), Scale::logarithmic()),
        series,
    }
    .svg()
}

fn churn(records: &Records) -> Option<String> {
    Chart {
        title: "Server memory while viewers come and go".to_owned(),
        subtitle: "resident size".to_owned(),
        x: ("seconds".to_owned(), Scale::from_zero()),
        y: ("MiB".to_owned(), Scale::from_zero()),
        series: records.memory_over_churn(),
    }
    .svg()
}

fn capacity(records: &Records) -> Option<String> {
    bars::svg(
        "Largest clean load that was measured",
        "packets to viewers a second; clean: at most 0.1 % lost, p99 at most 200 ms",
        &records.largest_clean(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(target: &str, viewers: u64, cost: f64) -> String {
        format!(
            "{{\"kind\":\"window\",\"scenario\":\"broadcast\",\"target\":\"{target}\",\"viewers\":{viewers},\"publishers\":1,\
             \"cpuNsPerPacket\":{cost},\"packetsPerSecond\":{}.0,\"clean\":true,\"delayCurveUs\":[[0.0,100.0],[0.5,200.0],[0.99,900.0],[0.999,4000.0]]}}\n",
            viewers * 156
        )
    }

    #[test]
    fn everything_that_is_told_is_drawn() {
        let mut text: String = [10, 100, 1000]
            .map(|viewers| window("uring", viewers, 2000.0) + &window("floor", viewers, 1500.0))
            .concat();
        text += "{\"kind\":\"summary\",\"scenario\":\"broadcast\",\"target\":\"uring\",\"viewers\":100,\"ofFloor\":{\"median\":1.3,\"min\":1.2,\"max\":1.4,\"count\":5}}\n";
        text += "{\"kind\":\"churn\",\"target\":\"uring\",\"seconds\":1.0,\"residentBytes\":10485760}\n";
        text += "{\"kind\":\"churn\",\"target\":\"uring\",\"seconds\":2.0,\"residentBytes\":10485760}\n";
        let drawings = drawings(&Records::parse(&text));
        let names: Vec<&str> = drawings.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names.len(), 7, "{names:?}");
        for (name, svg) in &drawings {
            assert!(svg.starts_with("<svg") && svg.ends_with("</svg>\n") && !svg.contains("NaN"), "{name}");
        }
    }

    #[test]
    fn refused_windows_and_foreign_lines_draw_nothing() {
        let text = "{\"kind\":\"window\",\"target\":\"uring\",\"viewers\":3,\"refused\":[\"busy\"]}\nhello\n";
        assert!(drawings(&Records::parse(text)).is_empty());
    }
}

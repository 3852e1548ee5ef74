//! The clocks: what the kernel counts time by, and whether the wall clock is right.

use super::finding::Finding;
use super::seen;

pub(super) fn check() -> Vec<Finding> {
    let source = |name| seen::text(format!("/sys/devices/system/clocksource/clocksource0/{name}"));
    let source = source("current_clocksource")
        .map(|current| judge_source(&current, &source("available_clocksource").unwrap_or_default()));
    let wall = tidewire_net::clock::wall_is_synchronised().map(judge_wall);
    wall.into_iter().chain(source).collect()
}

fn judge_wall(is_synchronised: bool) -> Finding {
    if is_synchronised {
        return Finding::ok("wall clock", "held in step by NTP");
    }
    let costs = "once it is a minute off, good tokens count as expired or not yet valid";
    Finding::could("wall clock", "not known to be in step with others", costs, "timedatectl set-ntp true")
}

fn judge_source(current: &str, available: &str) -> Finding {
    if !SLOW.contains(&current) {
        return Finding::ok("clock source", current);
    }
    let better = available.split_whitespace().find(|other| !SLOW.contains(other));
    let mend = match better {
        Some(better) => {
            format!("echo {better} > /sys/devices/system/clocksource/clocksource0/current_clocksource")
        }
        None => "Start the kernel with tsc=reliable, if the machine's time stamp counter is".to_owned(),
    };
    Finding::could("clock source", current, "every look at the clock is a system call to a slow device", mend)
}

/// Those that are no register of the processor.
const SLOW: [&str; 4] = ["acpi_pm", "hpet", "jiffies", "refined-jiffies"];

#[cfg(test)]
mod tests {
    use super::super::finding::Grade::{CouldBeBetter, Ok as Good};
    use super::*;

    #[test]
    fn clocks_are_graded_and_the_mend_names_a_better_source_where_there_is_one() {
        assert_eq!([judge_wall(true).grade, judge_wall(false).grade], [Good, CouldBeBetter]);
        assert_eq!(judge_source("tsc", "tsc kvm-clock").grade, Good);
        assert_eq!(judge_source("kvm-clock", "kvm-clock").grade, Good);
        assert!(judge_source("hpet", "hpet tsc acpi_pm").mend.unwrap().starts_with("echo tsc >"));
        assert!(judge_source("hpet", "hpet acpi_pm").mend.unwrap().contains("tsc=reliable"));
    }
}

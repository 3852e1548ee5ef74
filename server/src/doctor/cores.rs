//! What the program may run on: cores, quotas, real-time policies.

use std::time::Duration;

use super::finding::Finding;
use super::seen;
use crate::settings::Settings;

pub(super) fn check(settings: &Settings, cores: usize) -> Vec<Finding> {
    let mut findings = vec![judge_cores(cores, usize::from(settings.shards))];
    findings.extend(cpu_max().and_then(|text| seen::quota_cores(&text)).map(judge_quota));
    let policy = seen::text("/proc/self/stat").and_then(|stat| seen::policy(&stat));
    let runtime = seen::text("/proc/sys/kernel/sched_rt_runtime_us");
    findings.extend(policy.map(|policy| judge_policy(policy, runtime.as_deref(), settings.spin)));
    findings
}

/// The quota of this process's cgroup; within a container that is the root of what it sees.
fn cpu_max() -> Option<String> {
    let own = seen::text("/proc/self/cgroup")?;
    let path = own.lines().find_map(|line| line.strip_prefix("0::"))?.trim_start_matches('/').to_owned();
    seen::text(format!("/sys/fs/cgroup/{path}/cpu.max")).or_else(|| seen::text("/sys/fs/cgroup/cpu.max"))
}

fn judge_cores(cores: usize, shards: usize) -> Finding {
    let fact = format!("{cores} to run on, {shards} for shards");
    if cores == 1 {
        let costs = "media, handshakes and signalling take turns on one core";
        return Finding::could("cores", fact, costs, "Give it two cores or more");
    }
    if shards > cores {
        let costs = "shards take turns on a core, and packets wait meanwhile";
        return Finding::could("cores", fact, costs, format!("Start it with --shards {}", cores - 1));
    }
    Finding::ok("cores", fact)
}

fn judge_quota(cores: f64) -> Finding {
    let costs = "when it is used up, every thread stops until the period ends: up to 100 ms without a packet";
    let mend = "Give it cores of its own (--cpuset-cpus) in place of the quota (--cpus)";
    Finding::could("cpu quota", format!("{cores:.1} cores"), costs, mend)
}

fn judge_policy(policy: u32, runtime_us: Option<&str>, spin: Duration) -> Finding {
    let is_real_time = matches!(policy, SCHED_FIFO | SCHED_RR);
    let is_throttled = runtime_us.is_some_and(|text| text != "-1");
    match (is_real_time, is_throttled && !spin.is_zero()) {
        (false, _) => Finding::ok("scheduling", "ordinary"),
        (true, false) => Finding::ok("scheduling", "real-time"),
        (true, true) => {
            let runtime = runtime_us.unwrap_or_default();
            let fact = format!("real-time with spinning, throttled to {runtime} us of each second");
            let costs = "a shard that spins is stopped for the rest of each second";
            Finding::could("scheduling", fact, costs, "sysctl -w kernel.sched_rt_runtime_us=-1")
        }
    }
}

/// Of sched(7).
const SCHED_FIFO: u32 = 1;
const SCHED_RR: u32 = 2;

#[cfg(test)]
mod tests {
    use super::super::finding::Grade::{CouldBeBetter, Ok as Good};
    use super::*;

    #[test]
    fn cores_are_judged_by_what_has_to_share_them() {
        for (cores, shards, grade) in [(1, 1, CouldBeBetter), (2, 1, Good), (4, 4, Good), (4, 5, CouldBeBetter)] {
            assert_eq!(judge_cores(cores, shards).grade, grade, "{cores} {shards}");
        }
        assert_eq!(judge_cores(4, 5).mend.unwrap(), "Start it with --shards 3");
        assert_eq!(judge_quota(1.5).fact, "1.5 cores");
    }

    #[test]
    fn real_time_is_throttled_only_where_a_shard_spins() {
        let (spin, none) = (Duration::from_micros(50), Duration::ZERO);
        for (policy, runtime, spin, grade) in [
            (0, Some("950000"), spin, Good),
            (SCHED_FIFO, Some("950000"), none, Good),
            (SCHED_FIFO, Some("-1"), spin, Good),
            (SCHED_FIFO, Some("950000"), spin, CouldBeBetter),
            (SCHED_RR, Some("950000"), spin, CouldBeBetter),
            (SCHED_RR, None, spin, Good),
        ] {
            assert_eq!(judge_policy(policy, runtime, spin).grade, grade, "{policy} {runtime:?} {spin:?}");
        }
    }
}

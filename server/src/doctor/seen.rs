//! What the kernel tells as text under /proc and /sys, read and taken apart. What cannot be read is not there.

use std::path::Path;

/// The text of a small file, without blanks around.
pub(super) fn text(path: impl AsRef<Path>) -> Option<String> {
    std::fs::read_to_string(path).ok().map(|text| text.trim().to_owned())
}

/// Major and minor of a release like `6.1.0-18-amd64`.
pub(super) fn version(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

/// The soft limit of this name in `/proc/self/limits`; unlimited is `u64::MAX`.
pub(super) fn soft_limit(limits: &str, name: &str) -> Option<u64> {
    let line = limits.lines().find_map(|line| line.strip_prefix(name))?;
    match line.split_whitespace().next()? {
        "unlimited" => Some(u64::MAX),
        number => number.parse().ok(),
    }
}

/// What stands behind a name in `/proc/self/status`.
pub(super) fn status_field<'a>(status: &'a str, name: &str) -> Option<&'a str> {
    status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim)
}

/// The scheduling policy in `/proc/self/stat`: its 41st field. The second, the program's name, may hold blanks.
pub(super) fn policy(stat: &str) -> Option<u32> {
    stat.rsplit_once(')')?.1.split_whitespace().nth(41 - 3)?.parse().ok()
}

/// The cores that a quota like `150000 100000` allows (`cpu.max` of a cgroup); nothing without one.
pub(super) fn quota_cores(cpu_max: &str) -> Option<f64> {
    let (quota, period) = cpu_max.split_once(' ')?;
    let (quota, period) = (quota.parse::<f64>().ok()?, period.trim().parse::<f64>().ok()?);
    (period > 0.0).then(|| quota / period)
}

/// Whether this is a container, and whose.
pub(super) fn container() -> Option<&'static str> {
    let marks =
        [("/.dockerenv", "Docker"), ("/run/.containerenv", "Podman"), ("/var/run/secrets/kubernetes.io", "Kubernetes")];
    marks.into_iter().find(|(path, _)| Path::new(path).exists()).map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_have_versions() {
        let table =
            [("6.1.0-18-amd64", Some((6, 1))), ("6.18", Some((6, 18))), ("5.15-generic", Some((5, 15))), ("x", None)];
        for (release, wanted) in table {
            assert_eq!(version(release), wanted, "{release}");
        }
    }

    #[test]
    fn limits_status_and_policy_are_found_in_what_the_kernel_writes() {
        let limits = "Limit          Soft Limit  Hard Limit  Units\nMax open files    1024   524288  files\n\
                      Max locked memory  unlimited   unlimited   bytes\n";
        assert_eq!(soft_limit(limits, "Max open files"), Some(1024));
        assert_eq!(soft_limit(limits, "Max locked memory"), Some(u64::MAX));
        assert_eq!(soft_limit(limits, "Max nothing"), None);
        assert_eq!(status_field("Name:\tx\nSeccomp:\t2\nSeccomp_filters:\t1\n", "Seccomp"), Some("2"));
        let stat = format!("7 (a (b) c) S {} 1 0", (4..=40).map(|n| n.to_string()).collect::<Vec<_>>().join(" "));
        assert_eq!(policy(&stat), Some(1));
        assert_eq!(policy(&std::fs::read_to_string("/proc/self/stat").unwrap()), Some(0));
    }

    #[test]
    fn quotas_are_cores() {
        assert_eq!(
            [quota_cores("150000 100000"), quota_cores("max 100000"), quota_cores("1 0")],
            [Some(1.5), None, None]
        );
    }
}

//! What a run found: as one JSON line, as a table, and with warnings where the tool itself stood in the way.
//!
//! Ratios are computed here and nowhere else. A figure that could not be taken (no process id, so no CPU time) is zero.

use hdrhistogram::Histogram;
use serde::Serialize;
use serde_json::json;

#[derive(Clone, Debug)]
pub struct Report {
    pub label: String,
    pub profile: &'static str,
    pub pacing: &'static str,
    pub viewers: u64,
    pub seconds: f64,
    pub bits_per_second: u64,
    pub packet_len: u64,
    /// Packets the publisher sent in the window.
    pub sent: u64,
    /// Those that viewers received, each counted once per viewer.
    pub received: u64,
    /// Packets the publisher sent from the first to the last, warm-up included.
    pub sent_in_all: u64,
    /// The server's own count of what it forwarded in that time; zero where it has no such count.
    pub forwarded_by_server: u64,
    /// Packets that viewers decrypted and checked byte for byte, over the whole run.
    pub opened: u64,
    pub duplicates: u64,
    pub corrupt: u64,
    pub misplaced: u64,
    pub garbage: u64,
    pub dropped_by_our_kernel: u64,
    pub server_cpu_s: f64,
    pub server_resident_bytes: u64,
    pub server_bytes_a_viewer: u64,
    pub tool_cpu_s: f64,
    /// CPU time of all other processes of the machine within the window.
    pub others_cpu_s: f64,
    /// Time that the hypervisor gave to others.
    pub stolen_s: f64,
    /// What a bare loop of sealing and `sendto` takes for each packet, here and now.
    pub yardstick_us: f64,
    /// Kernel receive time minus planned send time, in nanoseconds.
    pub delays: Histogram<u64>,
    /// Actual minus planned send time, in nanoseconds.
    pub lateness: Histogram<u64>,
    pub joins: Joins,
}

/// What the viewers' joins took: times in nanoseconds, and memory of the server.
#[derive(Clone, Debug)]
pub struct Joins {
    pub http: Histogram<u64>,
    pub ice: Histogram<u64>,
    pub dtls: Histogram<u64>,
    /// What the server's resident memory grew by.
    pub server_bytes: u64,
}

/// Points of a distribution, in milliseconds.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Points {
    pub p50: f64,
    pub p99: f64,
    pub p999: f64,
    pub max: f64,
}

impl Points {
    pub fn of(histogram: &Histogram<u64>) -> Self {
        let ms = |ns: u64| ns as f64 / 1e6;
        Self {
            p50: ms(histogram.value_at_quantile(0.5)),
            p99: ms(histogram.value_at_quantile(0.99)),
            p999: ms(histogram.value_at_quantile(0.999)),
            max: ms(histogram.max()),
        }
    }
}

impl Report {
    pub fn expected(&self) -> u64 {
        self.sent * self.viewers
    }

    pub fn loss(&self) -> f64 {
        1.0 - self.received as f64 / (self.expected() as f64).max(1.0)
    }

    /// Server CPU time for each packet that a viewer received, in microseconds.
    pub fn cpu_us(&self) -> f64 {
        self.server_cpu_s * 1e6 / (self.received as f64).max(1.0)
    }

    /// The same in units of the simplest forwarder there could be: comparable between machines, and between hours of one.
    pub fn cpu_of_yardstick(&self) -> f64 {
        self.cpu_us() / self.yardstick_us.max(f64::MIN_POSITIVE)
    }

    /// An overloaded server queues before it loses, so both are asked.
    pub fn is_clean(&self) -> bool {
        self.loss() <= 0.001 && Points::of(&self.delays).p99 <= 200.0 && self.is_faultless()
    }

    pub fn is_faultless(&self) -> bool {
        self.duplicates + self.corrupt + self.misplaced + self.garbage == 0
    }

    /// Why these figures may be the tool's and not the server's.
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        let busy = self.tool_cpu_s / self.seconds;
        if busy > TOOL_BUSY_MAX {
            warnings.push(format!("the tool used {:.0} % of its core: it may have been the bottleneck", 100.0 * busy));
        }
        let others = (self.others_cpu_s + self.stolen_s) / self.seconds;
        if others > OTHERS_MAX {
            warnings.push(format!(
                "others used {:.0} % of a core meanwhile: the tail of the delay is partly theirs",
                100.0 * others
            ));
        }
        let lateness = Points::of(&self.lateness);
        if lateness.p99 > LATENESS_MS_MAX {
            warnings.push(format!("the publisher was {:.1} ms late (p99): that is part of the delay", lateness.p99));
        }
        if self.dropped_by_our_kernel > 0 {
            warnings.push(format!("{} datagrams were dropped at the tool's own sockets", self.dropped_by_our_kernel));
        }
        let due = self.sent_in_all * self.viewers;
        if self.forwarded_by_server > 0 && self.forwarded_by_server != due {
            warnings.push(format!("the server says that it forwarded {} packets of {due}", self.forwarded_by_server));
        }
        if !self.is_faultless() {
            let Self { duplicates, corrupt, misplaced, garbage, .. } = self;
            warnings.push(format!(
                "{duplicates} duplicates, {corrupt} corrupt, {misplaced} misplaced, {garbage} unreadable"
            ));
        }
        warnings
    }

    /// One line of JSON with everything.
    pub fn json(&self) -> String {
        json!({
            "io": self.label, "profile": self.profile, "pacing": self.pacing, "viewers": self.viewers, "seconds": self.seconds,
            "bitsPerSecond": self.bits_per_second, "packetLen": self.packet_len, "sent": self.sent, "expected": self.expected(),
            "received": self.received, "sentInAll": self.sent_in_all, "forwardedByServer": self.forwarded_by_server, "opened": self.opened, "loss": self.loss(),
            "duplicates": self.duplicates, "corrupt": self.corrupt, "misplaced": self.misplaced, "garbage": self.garbage,
            "droppedByOurKernel": self.dropped_by_our_kernel, "serverCpuUsPerPacket": self.cpu_us(),
            "yardstickUs": self.yardstick_us, "serverCpuOfYardstick": self.cpu_of_yardstick(), "serverCpuShare": self.server_cpu_s / self.seconds, "serverResidentBytes": self.server_resident_bytes,
            "serverBytesPerViewer": self.server_bytes_a_viewer, "toolCpuShare": self.tool_cpu_s / self.seconds,
            "othersCpuShare": self.others_cpu_s / self.seconds, "stolenShare": self.stolen_s / self.seconds,
            "delayMs": Points::of(&self.delays), "latenessMs": Points::of(&self.lateness), "joinHttpMs": Points::of(&self.joins.http),
            "joinIceMs": Points::of(&self.joins.ice), "joinDtlsMs": Points::of(&self.joins.dtls), "clean": self.is_clean(),
            "warnings": self.warnings(),
        })
        .to_string()
    }
}

/// Runs side by side, one column each.
pub fn table(reports: &[Report]) -> String {
    let row = |name: &str, cell: &dyn Fn(&Report) -> String| {
        let cells: String = reports.iter().map(|report| format!("{:>16}", cell(report))).collect();
        format!("{name:<36}{cells}\n")
    };
    let points = |name: &str, of: &dyn Fn(&Report) -> Points| {
        [
            row(&format!("{name} p50, ms"), &|report| format!("{:.3}", of(report).p50)),
            row(&format!("{name} p99, ms"), &|report| format!("{:.3}", of(report).p99)),
            row(&format!("{name} p99.9, ms"), &|report| format!("{:.3}", of(report).p999)),
        ]
        .concat()
    };
    let mut text = [
        row("", &|report| report.label.clone()),
        row("profile", &|report| report.profile.to_owned()),
        row("viewers", &|report| report.viewers.to_string()),
        row("packets to viewers a second", &|report| format!("{:.0}", report.received as f64 / report.seconds)),
        row("loss, %", &|report| format!("{:.4}", 100.0 * report.loss())),
        row("server CPU a packet, us", &|report| format!("{:.2}", report.cpu_us())),
        row("the simplest forwarder here, us", &|report| format!("{:.2}", report.yardstick_us)),
        row("server CPU a packet, of the simplest", &|report| format!("{:.2}", report.cpu_of_yardstick())),
        row("server CPU, % of a core", &|report| format!("{:.1}", 100.0 * report.server_cpu_s / report.seconds)),
        points("delay", &|report| Points::of(&report.delays)),
        points("own lateness", &|report| Points::of(&report.lateness)),
        row("tool CPU, % of a core", &|report| format!("{:.1}", 100.0 * report.tool_cpu_s / report.seconds)),
        row("others' CPU, % of a core", &|report| {
            format!("{:.1}", 100.0 * (report.others_cpu_s + report.stolen_s) / report.seconds)
        }),
        row("packets checked byte for byte", &|report| report.opened.to_string()),
        row("join: HTTP p50, ms", &|report| format!("{:.2}", Points::of(&report.joins.http).p50)),
        row("join: DTLS p50, ms", &|report| format!("{:.2}", Points::of(&report.joins.dtls).p50)),
        row("server memory a viewer, KiB", &|report| format!("{:.0}", report.server_bytes_a_viewer as f64 / 1024.0)),
        row("clean", &|report| {
            if report.is_clean() { "yes".to_owned() } else { "no".to_owned() }
        }),
    ]
    .concat();
    for report in reports {
        text.extend(report.warnings().iter().map(|warning| format!("warning ({}): {warning}\n", report.label)));
    }
    text
}

/// A core that is busier than this has waited for something.
const TOOL_BUSY_MAX: f64 = 0.85;
/// Other work beyond this share of a core shows in percentiles of a millisecond.
const OTHERS_MAX: f64 = 0.1;
const LATENESS_MS_MAX: f64 = 2.0;

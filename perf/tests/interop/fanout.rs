//! The load scenario against the program, small and short: nothing is lost, doubled, bent or misplaced. No time is asserted.

use anyhow::Result;
use tidewire_perf::client::Profile;
use tidewire_perf::load::{Fanout, Pacing, Target, run};
use tidewire_perf::server::{Io, Server};

fn small_fan_out(io: Io, pacing: Pacing) -> Result<()> {
    let fanout = Fanout {
        viewers: 30,
        seconds: 2,
        warm_up_s: 0,
        bits_per_second: 1_500_000,
        packet_len: 1200,
        pacing,
        profile: Profile::AeadAes256Gcm,
        witnesses: 3,
        tool_core: None,
    };
    let target = Target::Start { binary: Server::default_binary(), io, core: None, arguments: Vec::new() };
    let report = run(&fanout, &target)?;
    assert!(report.is_faultless() && report.received == report.expected(), "{}", report.json());
    assert_eq!(report.forwarded_by_server, report.sent_in_all * report.viewers, "{}", report.json());
    Ok(())
}

#[test]
fn every_viewer_of_a_paced_stream_gets_everything_over_uring() -> Result<()> {
    small_fan_out(Io::Uring, Pacing::Libwebrtc)
}

#[test]
fn every_viewer_of_whole_frames_gets_everything_over_epoll() -> Result<()> {
    small_fan_out(Io::Epoll, Pacing::Frame)
}

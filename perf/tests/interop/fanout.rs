//! Load scenarios against the program, small and short: nothing is lost, doubled, bent or misplaced. No time is asserted.

use std::time::Duration;

use anyhow::Result;
use tidewire_perf::client::Profile;
use tidewire_perf::load::{Feedback, Pacing, Receivers, Rig, Setup, Shape, Video, Window};
use tidewire_perf::machine::Policy;

pub(crate) fn setup(shape: Shape, receivers: Receivers) -> Setup {
    Setup {
        shape,
        video: Video {
            bits_per_second: 1_500_000,
            packet_len: 1200,
            pacing: Pacing::Libwebrtc,
            burst: 1,
            uneven: true,
        },
        audio: false,
        profile: Profile::AeadAes128Gcm,
        receivers,
        feedback: Feedback::Browser,
        witnesses: 2,
        seed: 1,
        joiners: 4,
        server_core: None,
        policy: Policy::Ordinary,
    }
}

/// One window of a second, and another behind it.
pub(crate) fn measure(target: &str, setup: &Setup) -> Result<Window> {
    let mut rig = Rig::open(&target.parse()?, setup)?;
    rig.measure(Duration::ZERO, Duration::from_secs(1), &mut || Ok(()))?;
    let window = rig.measure(Duration::ZERO, Duration::from_secs(1), &mut || Ok(()))?;
    rig.close()?;
    Ok(window)
}

pub(crate) fn assert_whole(window: &Window) {
    let Window { tally, faults, .. } = window;
    assert!(window.is_faultless() && tally.lost() == 0 && tally.sampled_missing == 0, "{tally:?}, {faults:?}");
    assert!(tally.expected > 0 && window.opened > 0 && window.feedback_sent > 0, "{tally:?}");
}

fn assert_whole_and_counted(window: &Window) {
    assert_whole(window);
    assert_eq!(window.forwarded_by_server, window.tally.expected);
}

#[test]
fn every_viewer_of_a_paced_stream_gets_everything_over_uring() -> Result<()> {
    let window = measure("uring", &setup(Shape::broadcast(30), Receivers::Read))?;
    assert_eq!(window.tally.dropped, 0);
    assert_whole_and_counted(&window);
    Ok(())
}

#[test]
fn every_viewer_of_whole_frames_gets_everything_over_epoll() -> Result<()> {
    let mut setup = setup(Shape::broadcast(30), Receivers::Read);
    setup.video.pacing = Pacing::Frame;
    setup.profile = Profile::AeadAes256Gcm;
    assert_whole_and_counted(&measure("epoll", &setup)?);
    Ok(())
}

#[test]
fn viewers_who_let_the_kernel_drop_account_for_every_packet() -> Result<()> {
    let window = measure("uring", &setup(Shape::broadcast(30), Receivers::Filter))?;
    assert!(window.tally.dropped > 20 * window.tally.read / 10, "{:?}", window.tally);
    assert_whole_and_counted(&window);
    Ok(())
}

#[test]
fn in_a_meeting_everybody_gets_everything_of_all_others() -> Result<()> {
    let setup = Setup { audio: true, ..setup(Shape::meeting(2, 4), Receivers::Filter) };
    let window = measure("epoll", &setup)?;
    assert_eq!((window.publishers, window.viewers), (8, 24));
    assert_whole_and_counted(&window);
    Ok(())
}

use super::*;

fn at(millis: u64) -> Instant {
    Instant::from_millis(millis)
}

#[test]
fn sets_with_the_highest_target_are_open_upwards() {
    let mut track = Track::lone(0, Kind::Video, None);
    track.targets = (0..3).map(|temporal| Target { spatial: 0, temporal }).collect();
    let reach = Reach { part_of: Targets(0b100), entry_to: Targets(0b011), ..Reach::LONE };
    let open = track.open_upwards(reach);
    assert!(open.part_of.has(TOP) && open.part_of.has(2) && !open.part_of.has(1));
    assert!(!open.entry_to.has(TOP));
}

#[test]
fn a_key_frame_of_a_stream_that_never_came_is_no_deadline() {
    let mut track = Track::encoding(0, Rid::from("h").unwrap(), 0);
    track.key_frames.want(at(0));
    assert_eq!(track.deadline(), None, "a timer would fire for ever");
    assert!(track.turn_to(at(5), 7));
    assert_eq!(track.deadline(), Some(at(0)));
}

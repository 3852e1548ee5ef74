use tidewire_core::codec::allocation::Picture;

use super::*;

fn at(millis: u64) -> Instant {
    Instant::from_millis(millis)
}

fn layer(spatial: u8, rates_kbps: &[u32], size: Option<(u16, u16)>) -> ActiveLayer {
    let picture = size.map(|(width, height)| Picture { width, height, rate_max: 30 });
    ActiveLayer { encoding: 0, spatial, rates_kbps: rates_kbps.iter().copied().collect(), picture }
}

fn upper(spatial: u8, temporal: u8) -> Target {
    Target { spatial, temporal }
}

#[test]
fn only_what_is_announced_for_the_first_time_is_news() {
    let mut announced = Announced::default();
    let lone = [layer(0, &[100], None)];
    assert_eq!(announced.hear(at(1_000), lone.iter()), Some(true));
    assert_eq!(announced.hear(at(1_100), lone.iter()), None);
    assert_eq!(announced.hear(at(1_200), [].iter()), Some(false));
    assert_eq!(announced.hear(at(1_300), [].iter()), None);
    assert!(announced.has_just_ended(at(1_499)) && !announced.has_just_ended(at(1_500)), "repeating it renews nothing");
    assert_eq!(announced.hear(at(1_600), lone.iter()), Some(true));
    assert!(!announced.has_just_ended(at(1_600)));
}

#[test]
fn sizes_stay_known_where_an_allocation_leaves_them_out_or_ends_the_encoding() {
    let mut announced = Announced::default();
    assert_eq!((announced.size(), announced.size_at(0)), (None, None));
    announced.hear(at(0), [layer(0, &[100], Some((320, 180))), layer(1, &[300], Some((640, 360)))].iter());
    assert_eq!((announced.size(), announced.size_at(0)), (Some((640, 360)), Some((320, 180))));
    announced.hear(at(1), [layer(0, &[90], None)].iter());
    assert_eq!((announced.size(), announced.size_at(1)), (Some((320, 180)), Some((640, 360))));
    announced.hear(at(2), [].iter());
    assert_eq!(announced.size(), Some((320, 180)));
    assert_eq!(announced.size_at(u8::MAX), None);
}

#[test]
fn a_rate_is_that_of_all_layers_up_to_a_target() {
    let mut announced = Announced::default();
    assert_eq!(announced.rate_bps(upper(0, 0)), 0);
    announced.hear(at(0), [layer(0, &[100, 150], None), layer(1, &[90, 400], None)].iter());
    assert_eq!(announced.rate_bps(upper(0, 0)), 100_000);
    assert_eq!(announced.rate_bps(upper(0, 1)), 150_000);
    assert_eq!(announced.rate_bps(upper(1, 0)), 100_000, "not less than what it builds on");
    assert_eq!(announced.rate_bps(upper(u8::MAX, u8::MAX)), 400_000);
    announced.hear(at(1), [layer(0, &[u32::MAX], None)].iter());
    assert_eq!(announced.rate_bps(upper(0, 0)), u32::MAX, "nonsense is no more than the most");
}

#[test]
fn a_spatial_layer_that_is_not_listed_is_not_active_until_its_frames_say_otherwise() {
    let targets: Vec<_> = (0..3).map(|spatial| upper(spatial, 0)).collect();
    let all = [layer(0, &[1], None), layer(1, &[2], None), layer(2, &[3], None)];
    let mut announced = Announced::default();
    assert_eq!(announced.active(&targets), Targets::ALL);
    announced.hear(at(1_000), all[..2].iter());
    let active = announced.active(&targets);
    assert!(active.has(0) && active.has(1) && !active.has(2));
    assert!(!announced.is_contradicted(at(1_299), 2), "it was on its way");
    assert!(!announced.is_contradicted(at(1_300), 1));
    assert!(announced.is_contradicted(at(1_300), 2), "told once");
    assert!(!announced.is_contradicted(at(1_301), 2) && announced.active(&targets).has(2));
    announced.hear(at(1_400), all[..2].iter());
    assert!(announced.active(&targets).has(2), "said again, which is no news");
    announced.hear(at(1_500), all.iter());
    announced.hear(at(1_600), all[..1].iter());
    assert_eq!(announced.active(&targets).0 & 0b111, 0b001);
    assert!(!announced.is_contradicted(at(9_000), u8::MAX));
}

#[test]
fn layers_that_the_stream_does_not_have_leave_all_of_it_active() {
    let mut announced = Announced::default();
    announced.hear(at(0), [layer(3, &[1], None)].iter());
    assert_eq!(announced.active(&[upper(0, 0), upper(1, 0)]), Targets::ALL);
}

#[test]
fn an_allocation_is_believed_of_the_encodings_that_were_agreed_on_alone() {
    let allocation = |encoding, layers: &[u8]| Allocation {
        encoding,
        layers: layers.iter().map(|encoding| ActiveLayer { encoding: *encoding, ..layer(0, &[1], None) }).collect(),
    };
    assert!(is_believed(&allocation(1, &[0, 1, 2]), 1, 3));
    assert!(is_believed(&Allocation::default(), 2, 3), "nothing is sent, whoever says it");
    assert!(!is_believed(&allocation(0, &[0, 1, 2]), 1, 3), "it comes with another than it says");
    assert!(!is_believed(&allocation(1, &[0, 3]), 1, 3), "there is no fourth");
}

//! One nonce, one packet: whatever viewers ask for again and however publishers come and go, no (key, SSRC, index) ever
//! seals two different contents.

use std::time::Duration;

use proptest::prelude::*;
use tidewire_core::codec::Codec;
use tidewire_core::id::MediaId;
use tidewire_core::message::{Request, Response};
use tidewire_core::sim::Link;
use tidewire_core::time::Instant;

use crate::call::{Call, Wishes};
use crate::guest::{Guest, Pending, wants};
use crate::sealed::{Seen, note};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn no_nonce_seals_two_contents(
        seed: u64,
        loss in 0u64..200_000,
        rtx: bool,
        takeovers in prop::collection::vec(100u64..1_500, 0..4),
        packets_per_ms in prop::option::of(1u64..4),
    ) {
        let link = Link {
            loss,
            doubling: 50_000,
            delay: Duration::from_millis(15),
            jitter: Duration::from_millis(40),
            ..Link::NONE
        };
        let wishes = Wishes { rtx, ..Wishes::default() };
        let mut call = Call::new(seed, link);
        call.world.sent = Some(Vec::new());
        let mut seen = Seen::new();
        call.publish("sea", wishes, Instant::from_millis(20_000));
        call.watch("sea", wishes);
        call.watch("sea", Wishes::default());
        // A shard without time holds packets while their viewers ask for them already.
        call.world.slow_down(packets_per_ms);
        for pause in takeovers {
            call.run(Duration::from_millis(pause));
            call.publish("sea", wishes, Instant::from_millis(20_000));
        }
        call.run(Duration::from_millis(2_500));
        let sent = call.world.sent.take().unwrap();
        note(&mut seen, sent);
        prop_assert!(seen.len() > 100);
    }

    #[test]
    fn no_nonce_seals_two_contents_on_a_downstream_that_changes(
        seed: u64,
        loss in 0u64..200_000,
        changes in prop::collection::vec((0usize..8, any::<bool>(), 0u64..200), 1..12),
        packets_per_ms in prop::option::of(1u64..4),
    ) {
        let link = Link { loss, doubling: 50_000, delay: Duration::from_millis(15), jitter: Duration::from_millis(40), ..Link::NONE };
        let mut call = Call::new(seed, link);
        call.world.sent = Some(Vec::new());
        call.publish("sea", Wishes::default(), Instant::from_millis(20_000));
        let mut guest = Guest::join(&mut call, "sea", &["main"]);
        call.world.slow_down(packets_per_ms);
        for (wanted, answers, pause) in changes {
            // Each bit is a want; the publisher of `main` may be another each time.
            let all = ["main", "a", "b"];
            let wanted: Vec<_> = (0..3).filter(|bit| wanted >> bit & 1 == 1).map(|bit| all[bit]).collect();
            let request = Request::ChangeDownstream { connection: guest.key, wants: wants(&wanted) };
            if let Response::Offered { revision, offer, sections } = call.request(request) && answers {
                guest.answer(&mut call, &Pending { revision, offer, sections });
            }
            call.run(Duration::from_millis(pause));
            if pause % 3 == 0 {
                let media_id = MediaId::new(all[pause as usize / 3 % 3]).unwrap();
                call.publish_as("sea", media_id, Codec::Vp8, Wishes::default(), Instant::from_millis(20_000));
            }
        }
        call.run(Duration::from_millis(1_000));
        note(&mut Seen::new(), call.world.sent.take().unwrap());
    }
}

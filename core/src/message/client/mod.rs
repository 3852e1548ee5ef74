//! Between a client and the gateway, over the WebSocket at `/v1/client`.
//!
//! A client sends [`Frame`](super::lane::Frame)s of [`Request`], numbered from 1; the first is `register`. The gateway
//! sends frames of [`Told`]: one reply to each request, which names the request's number, and events in the order in which
//! they happened. After a lost socket the client opens another and sends `resume`, not numbered, as its first frame; both
//! ends then send again what the other has not seen. A client acknowledges at least every 32 frames or every second.
//! Who sends a message is written by the gateway, never by the sender.

mod request;
mod told;
mod event;
mod channel;

pub use channel::{Channel, Content, Member, Rights, RightsChange, Upstream, UpstreamState};
pub use event::{Event, LeaveReason, Section};
pub use request::{Payload, Preference, Request, Source, Want};
pub use told::{EndReason, Reply, Told};

#[cfg(test)]
mod tests {
    use super::super::lane::Frame;
    use super::*;
    use crate::id::{ChannelName, UpstreamId};

    #[test]
    fn shapes_are_what_the_reference_shows() {
        let text = r#"{"n":4,"seen":9,"m":{"type":"openDownstream","channel":"sea","wants":[{"mediaId":"main","audio":true,"video":false},{"upstream":"000000000000000000000000000000ff"}]}}"#;
        let frame: Frame<Request> = serde_json::from_str(text).unwrap();
        let Some(Request::OpenDownstream { wants, .. }) = frame.m else { panic!("{frame:?}") };
        assert_eq!(wants[1], Want { source: Source::Upstream(UpstreamId(255)), audio: true, video: true });
        let payload = Payload::Text("hello".to_owned());
        let send = Request::Send {
            channel: ChannelName::new("sea").unwrap(),
            user_id: None,
            device_id: None,
            client_id: None,
            payload,
        };
        assert_eq!(serde_json::to_string(&send).unwrap(), r#"{"type":"send","channel":"sea","text":"hello"}"#);
        assert_eq!(serde_json::from_str::<Request>(r#"{"type":"unregister"}"#).unwrap(), Request::Unregister);
    }

    #[test]
    fn labels_and_names_are_checked_where_they_are_read() {
        for bad in
            [r#"{"type":"leave","channel":"a b"}"#, r#"{"type":"register","token":"t","tag":""}"#, r#"{"type":"fly"}"#]
        {
            assert!(serde_json::from_str::<Request>(bad).is_err(), "{bad}");
        }
    }
}

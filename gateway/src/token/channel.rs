//! What a token claims for one channel, and what that allows there.
//!
//! Every restriction is kept, none is only written down: those for things that do not exist here yet (peer and MCU
//! connections, data, layouts) restrict nothing that could be asked for.

use serde::{Deserialize, Serialize};
use tidewire_core::codec::Kind;
use tidewire_core::id::{ChannelName, Label};
use tidewire_core::message::client::Rights;

use super::claims::or_default;

macro_rules! channel_claim {
    ($($(#[$doc:meta])* $flag:ident,)*) => {
        /// What a token's bearer may and may not do in one channel.
        #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(rename_all = "camelCase")]
        pub struct ChannelClaim {
            pub id: ChannelName,
            #[serde(default, deserialize_with = "or_default")]
            pub action: Action,
            $($(#[$doc])* #[serde(default, deserialize_with = "or_default", skip_serializing_if = "std::ops::Not::not")] pub $flag: bool,)*
            #[serde(default, deserialize_with = "or_default", skip_serializing_if = "Vec::is_empty")]
            pub allowed_layout_zones: Vec<String>,
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub allowed_layout_priority: Option<i64>,
            /// Roles whose audio may be received: unset is everybody's, empty nobody's.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub audio_receive_whitelist: Option<Vec<Label>>,
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub video_receive_whitelist: Option<Vec<Label>>,
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub data_receive_whitelist: Option<Vec<Label>>,
        }

        impl ChannelClaim {
            /// A claim without any restriction or privilege.
            pub fn of(id: ChannelName) -> Self {
                Self {
                    id,
                    action: Action::Join,
                    $($flag: false,)*
                    allowed_layout_zones: Vec::new(),
                    allowed_layout_priority: None,
                    audio_receive_whitelist: None,
                    video_receive_whitelist: None,
                    data_receive_whitelist: None,
                }
            }
        }
    };
}

channel_claim! {
    disable_peer,
    disable_sfu,
    disable_mcu,
    disable_send_audio,
    disable_send_video,
    disable_send_data,
    disable_send_message,
    disable_remote_client_events,
    disable_remote_upstream_connection_events,
    can_kick,
    can_update,
    can_update_layout,
    /// An invisible member: it may watch, and sends nothing.
    enable_hidden_observer_mode,
}

/// What a claim is for. Only `join` is, here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Action {
    #[default]
    Join,
    Claim,
    Drop,
}

impl ChannelClaim {
    /// What the bearer may do as a member of the channel.
    pub fn rights(&self) -> Rights {
        let hidden = self.enable_hidden_observer_mode;
        Rights {
            send_audio: !self.disable_send_audio && !hidden,
            send_video: !self.disable_send_video && !hidden,
            send_messages: !self.disable_send_message && !hidden,
            sfu: !self.disable_sfu,
            kick: self.can_kick && !hidden,
            update: self.can_update && !hidden,
            hidden,
        }
    }

    /// Whether it may receive media of this kind from somebody who has these roles.
    pub fn may_receive(&self, kind: Kind, roles: &[Label]) -> bool {
        self.whitelist(kind).is_none_or(|listed| listed.iter().any(|role| roles.contains(role)))
    }

    /// Whether it matters whose media of this kind it is.
    pub(super) fn chooses(&self, kind: Kind) -> bool {
        self.whitelist(kind).is_some()
    }

    fn whitelist(&self, kind: Kind) -> Option<&[Label]> {
        match kind {
            Kind::Audio => self.audio_receive_whitelist.as_deref(),
            Kind::Video => self.video_receive_whitelist.as_deref(),
        }
    }

    /// Why it may publish nothing at all.
    pub(super) fn publish_forbidden_by(&self) -> Option<&'static str> {
        if self.disable_sfu {
            Some("disableSfu")
        } else if self.enable_hidden_observer_mode {
            Some("enableHiddenObserverMode")
        } else if self.disable_send_audio && self.disable_send_video {
            Some("disableSendAudio and disableSendVideo")
        } else {
            None
        }
    }

    /// Why it may watch nothing at all.
    pub(super) fn watch_forbidden_by(&self) -> Option<&'static str> {
        self.disable_sfu.then_some("disableSfu")
    }
}

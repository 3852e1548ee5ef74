//! What one downstream that the server offers carries, and how far its client has followed: sections, revisions, answers.
//!
//! Wants and answers go in; which streams begin and end comes out, with the sections of the offer to write. A section whose
//! stream is not wanted any longer stays, inactive, and is given to another. Invariant: an SSRC belongs to one stream, ever. A
//! stream that has ended never comes back under the SSRC that it had, for its numbers would start anew under the same key
//! (RFC 7714 8.3). It writes no SDP and sends no command.

use tidewire_core::codec::Kind;
use tidewire_core::handshake::Fingerprint;
use tidewire_core::id::{MediaId, Mid};
use tidewire_core::limits::WANTS_MAX;
use tidewire_core::message::quality::Wish;
use tidewire_core::message::{self, Want};
use tidewire_core::negotiate::{
    Agreement, AnswerError, Answered, Credentials, Media, OwnSection, Sends, Source, read_answer,
};

use super::channels::Watched;
use super::ssrcs::Ssrcs;
use crate::command::{Carried, PublicationId, SessionId};

/// See the module's description.
#[derive(Debug)]
pub(super) struct Offering {
    pub(super) session: SessionId,
    /// This end's credentials in the newest offer.
    pub(super) local: Credentials,
    /// The `o=` line's number, which stays.
    pub(super) session_id: u64,
    /// The number of the newest offer; 0 before the first.
    pub(super) revision: u32,
    /// Whether the newest offer waits for its answer.
    unanswered: bool,
    /// Whether it has new credentials for a connection that is open.
    restarting: bool,
    /// The client's end, since its first answer.
    remote: Option<(Credentials, Fingerprint)>,
    /// At most `WANTS_MAX` of each kind. They only grow in number, and keep their order.
    sections: Vec<Section>,
    next_mid: u32,
    ssrcs: Ssrcs,
}

#[derive(Debug)]
struct Section {
    mid: Mid,
    kind: Kind,
    client: Client,
    carries: Option<Part>,
}

/// What the client knows a section as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Client {
    /// As carrying something, perhaps.
    Busy,
    /// As carrying nothing.
    Idle,
    /// It has rejected the section (RFC 3264 6).
    Rejected,
}

/// One kind of media of one media id.
#[derive(Debug)]
struct Part {
    media_id: MediaId,
    watched: Watched,
    source: Source,
    /// Whether a shard sends it.
    in_force: bool,
    wish: Wish,
}

/// What a change of wants comes to.
#[derive(Debug, Default)]
pub(super) struct Change {
    /// SSRCs of streams that are not to be sent from now on.
    pub(super) ended: Vec<u32>,
    /// Media ids that are watched no longer, each as often as it was.
    pub(super) left: Vec<MediaId>,
}

/// What an answer comes to.
#[derive(Debug)]
pub(super) struct Taken {
    pub(super) remote: Credentials,
    pub(super) fingerprint: Fingerprint,
    pub(super) stage: Stage,
    pub(super) ended: Vec<u32>,
    pub(super) begun: Vec<Carried>,
}

/// What an answer is to the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// The first: it opens the connection.
    Opens,
    /// It brings the client's new credentials.
    Restarts,
    Continues,
}

/// Why an answer is not taken. Nothing of it is in force then, and the offer still waits.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum NotTaken {
    #[error("there is a newer offer than the one that was answered")]
    Outdated,
    #[error("no offer of this revision waits for an answer")]
    Unasked,
    #[error(transparent)]
    Invalid(#[from] AnswerError),
    #[error("the answer has another fingerprint than the one before")]
    OtherFingerprint,
    #[error("the answer has other ICE credentials than the one before, without a restart")]
    OtherCredentials,
}

impl Offering {
    /// Carries nothing yet. It has an inactive section of each kind, so that there is a transport before anything is wanted.
    pub(super) fn new(session: SessionId, local: Credentials, session_id: u64, ssrcs: Ssrcs) -> Self {
        let mut offering = Self {
            session,
            local,
            session_id,
            revision: 0,
            unanswered: false,
            restarting: false,
            remote: None,
            sections: Vec::new(),
            next_mid: 0,
            ssrcs,
        };
        offering.append(Kind::Audio);
        offering.append(Kind::Video);
        offering
    }

    /// Carries these, at most `WANTS_MAX`, from now on. `watch` is asked about each part that is new. `None` where nothing
    /// has changed; else an offer is due, as it is the first time in any case.
    pub(super) fn want(
        &mut self,
        wants: &[Want],
        mut watch: impl FnMut(&MediaId) -> Option<Watched>,
    ) -> Option<Change> {
        let wanted = parts(wants);
        let mut new = wanted.clone();
        new.retain(|(kind, media_id)| !self.sections.iter().any(|section| section.is_of(*kind, media_id)));
        // Watched before others are left: what is wanted now in the other kind stays the same publication.
        let watched: Vec<_> = new.iter().filter_map(|(_, media_id)| watch(media_id)).collect();
        let change = self.let_go(&wanted);
        if new.is_empty() && change.left.is_empty() && self.revision > 0 {
            return None;
        }
        for ((kind, media_id), watched) in new.into_iter().zip(watched) {
            self.place(kind, media_id.clone(), watched);
        }
        self.renew();
        Some(change)
    }

    pub(super) fn carries_video(&self, media_id: &MediaId) -> bool {
        self.sections.iter().any(|section| section.is_of(Kind::Video, media_id))
    }

    /// Notes what the viewer would like of a video. Returns what a shard is to be told, if it sends the video already.
    pub(super) fn prefer(&mut self, media_id: &MediaId, wish: Wish) -> Option<(PublicationId, Wish)> {
        let mut sections = self.sections.iter_mut().filter(|section| section.is_of(Kind::Video, media_id));
        let part = sections.next()?.carries.as_mut()?;
        part.wish = wish.clone();
        part.in_force.then_some((part.watched.publication, wish))
    }

    /// New credentials of this end: an offer is due.
    pub(super) fn restart(&mut self, local: Credentials) {
        self.local = local;
        self.restarting = self.is_open();
        self.renew();
    }

    /// Takes up the client's answer to the newest offer.
    pub(super) fn take(&mut self, revision: u32, answer: &str) -> Result<Taken, NotTaken> {
        if revision < self.revision {
            return Err(NotTaken::Outdated);
        }
        if revision > self.revision || !self.unanswered {
            return Err(NotTaken::Unasked);
        }
        let Answered { agreement, rejected } = read_answer(answer, &self.own_sections())?;
        let stage = self.stage(&agreement)?;
        let Agreement { remote, fingerprint, media } = agreement;
        (self.unanswered, self.restarting) = (false, false);
        self.remote = Some((remote.clone(), fingerprint));
        let mut taken = Taken { remote, fingerprint, stage, ended: Vec::new(), begun: Vec::new() };
        for section in &mut self.sections {
            section.client = match section.carries {
                _ if rejected.contains(&section.mid) => Client::Rejected,
                Some(_) => Client::Busy,
                None => Client::Idle,
            };
            let agreed = media.iter().find(|media| media.mid == section.mid);
            section.settle(agreed, &mut self.ssrcs, &mut taken);
        }
        Ok(taken)
    }

    /// Whether the client has answered once, and a shard knows of the connection.
    pub(super) fn is_open(&self) -> bool {
        self.remote.is_some()
    }

    /// The media ids that are watched, each as often as it is.
    pub(super) fn watched(&self) -> impl Iterator<Item = &MediaId> {
        self.sections.iter().filter_map(|section| Some(&section.carries.as_ref()?.media_id))
    }

    /// The sections as the newest offer has them.
    pub(super) fn own_sections(&self) -> Vec<OwnSection> {
        self.sections.iter().map(Section::own).collect()
    }

    /// The sections that carry something, as the gateway is told them.
    pub(super) fn carriers(&self) -> Vec<message::Section> {
        let accepted = self.sections.iter().filter(|section| section.client != Client::Rejected);
        let carrier = |section: &Section| {
            let media_id = section.carries.as_ref()?.media_id.clone();
            Some(message::Section { mid: section.mid.to_string(), kind: section.kind, media_id })
        };
        accepted.filter_map(carrier).collect()
    }

    /// What an answer with this transport is; its end is the one before, but for a restart's credentials.
    fn stage(&self, agreement: &Agreement) -> Result<Stage, NotTaken> {
        let Some((remote, fingerprint)) = &self.remote else { return Ok(Stage::Opens) };
        if *fingerprint != agreement.fingerprint {
            return Err(NotTaken::OtherFingerprint);
        }
        match (self.restarting, *remote == agreement.remote) {
            (true, _) => Ok(Stage::Restarts),
            (false, true) => Ok(Stage::Continues),
            (false, false) => Err(NotTaken::OtherCredentials),
        }
    }

    /// Lets go of all that is not among `wanted`.
    fn let_go(&mut self, wanted: &[(Kind, &MediaId)]) -> Change {
        let mut change = Change::default();
        for section in &mut self.sections {
            let kind = section.kind;
            let unwanted = |part: &mut Part| !wanted.contains(&(kind, &part.media_id));
            if let Some(part) = section.carries.take_if(unwanted) {
                change.ended.extend(part.in_force.then_some(part.source.primary));
                change.left.push(part.media_id);
            }
        }
        change
    }

    /// Gives a part a section and SSRCs of its own.
    fn place(&mut self, kind: Kind, media_id: MediaId, watched: Watched) {
        let source = self.ssrcs.source(kind);
        let Some(at) = self.free(kind) else { return debug_assert!(false, "there are as many sections as wants") };
        let section = &mut self.sections[at];
        if section.client == Client::Rejected {
            // RFC 8829 5.2.2: what was rejected may be used again, under another name.
            section.mid = draw_mid(&mut self.next_mid);
        }
        section.client = Client::Busy;
        section.carries = Some(Part { media_id, watched, source, in_force: false, wish: Wish::default() });
    }

    /// A free section of a kind: best is one that the client knows as idle, since to it everything then begins where nothing
    /// was; and a new one is better than one that it knows as another's or has rejected.
    fn free(&mut self, kind: Kind) -> Option<usize> {
        let free = |client: Option<Client>| {
            move |section: &Section| {
                section.kind == kind
                    && section.carries.is_none()
                    && client.is_none_or(|client| client == section.client)
            }
        };
        if let Some(at) = self.sections.iter().position(free(Some(Client::Idle))) {
            return Some(at);
        }
        if self.sections.iter().filter(|section| section.kind == kind).count() < WANTS_MAX {
            return Some(self.append(kind));
        }
        let rejected = self.sections.iter().position(free(Some(Client::Rejected)));
        rejected.or_else(|| self.sections.iter().position(free(None)))
    }

    fn append(&mut self, kind: Kind) -> usize {
        let mid = draw_mid(&mut self.next_mid);
        self.sections.push(Section { mid, kind, client: Client::Idle, carries: None });
        self.sections.len() - 1
    }

    /// An offer is due: it supersedes whatever was offered before.
    fn renew(&mut self) {
        self.revision += 1;
        self.unanswered = true;
    }
}

impl Section {
    fn is_of(&self, kind: Kind, media_id: &MediaId) -> bool {
        self.kind == kind && self.carries.as_ref().is_some_and(|part| part.media_id == *media_id)
    }

    fn own(&self) -> OwnSection {
        let sends = match (self.client, &self.carries) {
            (Client::Rejected, _) => Sends::Never,
            (_, Some(part)) => Sends::Stream { source: part.source, cname: part.watched.cname },
            (_, None) => Sends::Nothing,
        };
        OwnSection { mid: self.mid, kind: self.kind, sends }
    }

    /// Begins what the client has accepted, and ends what it accepts no longer.
    fn settle(&mut self, agreed: Option<&Media>, ssrcs: &mut Ssrcs, taken: &mut Taken) {
        let Some(part) = &mut self.carries else { return };
        match (part.in_force, agreed) {
            (false, Some(media)) => {
                part.in_force = true;
                let Watched { publication, cname } = part.watched;
                taken.begun.push(Carried { publication, cname, media: media.clone(), wish: part.wish.clone() });
            }
            (true, None) => {
                part.in_force = false;
                taken.ended.push(part.source.primary);
                // Should the client want it again, it is another stream.
                part.source = ssrcs.source(self.kind);
            }
            (true, Some(_)) | (false, None) => {}
        }
    }
}

/// What is wanted, kind by kind, each once.
fn parts(wants: &[Want]) -> Vec<(Kind, &MediaId)> {
    let mut parts = Vec::new();
    for want in wants {
        for (kind, wanted) in [(Kind::Audio, want.audio), (Kind::Video, want.video)] {
            if wanted && !parts.contains(&(kind, &want.media_id)) {
                parts.push((kind, &want.media_id));
            }
        }
    }
    parts
}

/// Mids count up (RFC 8843 leaves them to the offerer), so that none is ever another section's.
fn draw_mid(next: &mut u32) -> Mid {
    let mut mid = Mid::new();
    // Ten digits fit.
    std::fmt::Write::write_fmt(&mut mid, format_args!("{next}")).unwrap_or_default();
    *next = next.wrapping_add(1);
    mid
}

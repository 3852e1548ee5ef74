//! One WebSocket of a link, at either end: frames out of a queue, frames into a queue, and a sign of life now and then.
//!
//! In go a socket's two halves as [`Packet`]s, which hide whose WebSockets they are; the pump ends when the socket does,
//! when the other end has been silent for too long, or when the queue says so. Invariant: reading and writing do not wait
//! for each other, so two ends that both have much to say cannot hold each other up. Knows nothing of what it carries.

use futures_util::{Sink, SinkExt, Stream, StreamExt};
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::Farewell;
use crate::limits::{LINK_GOODBYE_MAX, LINK_PING_EVERY, LINK_SILENCE_MAX};

/// What travels over the socket, as far as a link cares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Packet {
    Text(String),
    Ping,
    /// A pong, or anything else that shows that the other end is there.
    Life,
    Close(Farewell),
    /// The other end ends the socket, by this code.
    Closed(Option<u16>),
}

/// What is to leave by the socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outgoing {
    Frame(String),
    Close(Farewell),
}

/// How a socket ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The other end ended it, by this code.
    Closed(Option<u16>),
    /// It broke.
    Lost,
    /// Nothing came for too long.
    Silent,
    /// The queue said so.
    Ours,
}

/// Carries frames until the socket ends; what comes goes to `arrived`, wrapped. An `outgoing` queue that has no sender
/// any longer ends the socket in good order.
pub async fn run<W, R, E, T>(
    writer: W,
    reader: R,
    outgoing: &mut mpsc::Receiver<Outgoing>,
    arrived: mpsc::Sender<T>,
    wrap: impl Fn(String) -> T,
) -> End
where
    W: Sink<Packet, Error = E>,
    R: Stream<Item = Result<Packet, E>>,
{
    let mut reading = std::pin::pin!(read(reader, arrived, wrap));
    let ended = tokio::select! {
        end = &mut reading => return end,
        written = write(writer, outgoing) => written,
    };
    if ended.is_ok() {
        // Who closes waits for the other's close, which comes behind all that it had to say.
        drop(timeout(LINK_GOODBYE_MAX, reading).await);
        return End::Ours;
    }
    End::Lost
}

async fn read<R, E, T>(reader: R, arrived: mpsc::Sender<T>, wrap: impl Fn(String) -> T) -> End
where
    R: Stream<Item = Result<Packet, E>>,
{
    let mut reader = std::pin::pin!(reader);
    loop {
        match timeout(LINK_SILENCE_MAX, reader.next()).await {
            Err(_) => return End::Silent,
            Ok(None | Some(Err(_))) => return End::Lost,
            Ok(Some(Ok(Packet::Closed(code)))) => return End::Closed(code),
            Ok(Some(Ok(Packet::Text(text)))) => {
                // Once nobody hears any more it is read all the same: what is left unread would break the socket.
                drop(arrived.send(wrap(text)).await);
            }
            Ok(Some(Ok(Packet::Ping | Packet::Life | Packet::Close(_)))) => {}
        }
    }
}

/// Fails when the socket does; returns once it has closed it.
async fn write<W: Sink<Packet>>(writer: W, outgoing: &mut mpsc::Receiver<Outgoing>) -> Result<(), W::Error> {
    let mut writer = std::pin::pin!(writer);
    let mut pings = interval(LINK_PING_EVERY);
    pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let packet = tokio::select! {
            next = outgoing.recv() => match next {
                Some(Outgoing::Frame(text)) => Packet::Text(text),
                Some(Outgoing::Close(farewell)) => Packet::Close(farewell),
                None => Packet::Close(Farewell::Shutdown),
            },
            _ = pings.tick() => Packet::Ping,
        };
        let is_last = matches!(packet, Packet::Close(_));
        writer.send(packet).await?;
        if is_last {
            return Ok(());
        }
    }
}

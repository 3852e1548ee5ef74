//! The fleet: which media server a channel, and so each of its connections, is on.
//!
//! In goes a request, out comes the server that it is for. A channel stays where it is for as long as it has connections;
//! a new one goes to the server that is fullest least, in relation to what it takes. One that drains gets no new
//! channels; joiners of a channel that it has still come to it, since there they meet the others. Invariant: a connection
//! is here from the moment it is asked for until its end was told, so the table is bounded by what the servers take and
//! what may wait to be answered. Pure; asks nobody.

use std::collections::BTreeMap;

use tidewire_core::id::{ChannelKey, ConnectionKey};
use tidewire_core::message::{ErrorCode, Request, Response};

/// A media server as this gateway numbers them; a number is never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServerId(pub u64);

/// Every media server and every connection on one.
#[derive(Debug, Default)]
pub struct Fleet {
    servers: BTreeMap<ServerId, Room>,
    connections: BTreeMap<ConnectionKey, Place>,
    channels: BTreeMap<ChannelKey, Home>,
}

/// Where a request is to go, and the connection that it makes known there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    pub server: ServerId,
    opens: Option<(ConnectionKey, ChannelKey)>,
}

/// Why a request is for no server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nowhere {
    /// Nobody takes new channels at present.
    NoServer,
    Full,
    ConnectionUnknown,
}

#[derive(Debug)]
struct Room {
    connections_max: usize,
    /// Connections that were placed here.
    placed: usize,
    /// Connections by the server's own count: more than were placed when a gateway before this one placed some.
    told: usize,
    is_draining: bool,
}

#[derive(Debug)]
struct Place {
    server: ServerId,
    channel: ChannelKey,
    is_closing: bool,
}

#[derive(Debug)]
struct Home {
    server: ServerId,
    connections: usize,
}

impl Fleet {
    pub fn add(&mut self, server: ServerId, connections_max: usize) {
        self.servers.insert(server, Room { connections_max, placed: 0, told: 0, is_draining: false });
    }

    /// Takes a server out. Gives the connections that are lost with it, in their order.
    pub fn remove(&mut self, server: ServerId) -> Vec<ConnectionKey> {
        let on_it = self.connections.iter().filter(|(_, place)| place.server == server);
        let lost: Vec<_> = on_it.map(|(connection, _)| *connection).collect();
        lost.iter().for_each(|connection| self.release(*connection));
        self.servers.remove(&server);
        lost
    }

    /// Where a request is to go.
    pub fn find(&self, request: &Request) -> Result<Route, Nowhere> {
        let (connection, channel) = parts(request);
        if let Some(place) = self.connections.get(&connection) {
            return Ok(Route { server: place.server, opens: None });
        }
        let channel = channel.ok_or(Nowhere::ConnectionUnknown)?;
        let server = self.channels.get(channel).map_or_else(|| self.emptiest(), |home| Ok(home.server))?;
        Ok(Route { server, opens: Some((connection, channel.clone())) })
    }

    /// Notes that a request went where it was to go: an opening makes its connection known.
    pub fn place(&mut self, route: Route) {
        let Route { server, opens: Some((connection, channel)) } = route else { return };
        let Some(room) = self.servers.get_mut(&server) else { return };
        room.placed += 1;
        self.channels.entry(channel.clone()).or_insert(Home { server, connections: 0 }).connections += 1;
        self.connections.insert(connection, Place { server, channel, is_closing: false });
    }

    /// Notes that a connection is to be closed. Says whether this is the first time.
    pub fn begin_close(&mut self, connection: ConnectionKey) -> bool {
        self.connections.get_mut(&connection).is_some_and(|place| !std::mem::replace(&mut place.is_closing, true))
    }

    /// Takes out a connection that has ended; one that is not known changes nothing.
    pub fn release(&mut self, connection: ConnectionKey) {
        let Some(Place { server, channel, .. }) = self.connections.remove(&connection) else { return };
        if let Some(room) = self.servers.get_mut(&server) {
            room.placed -= 1;
        }
        if let Some(home) = self.channels.get_mut(&channel) {
            home.connections -= 1;
            if home.connections == 0 {
                self.channels.remove(&channel);
            }
        }
    }

    /// A server's own count of its connections.
    pub fn load(&mut self, server: ServerId, connections: usize) {
        if let Some(room) = self.servers.get_mut(&server) {
            room.told = connections;
        }
    }

    pub fn drain(&mut self, server: ServerId) {
        if let Some(room) = self.servers.get_mut(&server) {
            room.is_draining = true;
        }
    }

    /// Whether a server drains and has nothing left of what was placed on it.
    pub fn is_drained(&self, server: ServerId) -> bool {
        self.servers.get(&server).is_some_and(|room| room.is_draining && room.placed == 0)
    }

    pub fn connections(&self) -> usize {
        self.connections.len()
    }

    fn emptiest(&self) -> Result<ServerId, Nowhere> {
        let takers = self.servers.iter().filter(|(_, room)| !room.is_draining);
        let with_room = takers.clone().filter(|(_, room)| room.occupied() < room.connections_max);
        match with_room.min_by_key(|(_, room)| room.filled()) {
            Some((server, _)) => Ok(*server),
            None if takers.count() > 0 => Err(Nowhere::Full),
            None => Err(Nowhere::NoServer),
        }
    }
}

impl Room {
    fn occupied(&self) -> usize {
        self.placed.max(self.told)
    }

    /// How full it is, in millionths.
    fn filled(&self) -> u64 {
        self.occupied() as u64 * 1_000_000 / self.connections_max.max(1) as u64
    }
}

impl From<Nowhere> for Response {
    fn from(nowhere: Nowhere) -> Self {
        let (code, detail) = match nowhere {
            Nowhere::NoServer => (ErrorCode::MediaServerUnavailable, "No media server takes new channels at present."),
            Nowhere::Full => (ErrorCode::MediaServerFull, "No media server has room for another connection."),
            Nowhere::ConnectionUnknown => (ErrorCode::ConnectionUnknown, ""),
        };
        Self::Refused { code, detail: detail.to_owned() }
    }
}

/// The connection that a request names, and the channel if it opens one there.
fn parts(request: &Request) -> (ConnectionKey, Option<&ChannelKey>) {
    match request {
        Request::OpenUpstream { connection, channel, .. }
        | Request::OpenDownstream { connection, channel, .. }
        | Request::OfferDownstream { connection, channel, .. } => (*connection, Some(channel)),
        Request::ChangeDownstream { connection, .. }
        | Request::AnswerDownstream { connection, .. }
        | Request::Prefer { connection, .. }
        | Request::Observe { connection, .. }
        | Request::RestartDownstream { connection }
        | Request::Restart { connection, .. }
        | Request::Close { connection } => (*connection, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(connection: u128, channel: &str) -> Request {
        Request::OfferDownstream {
            connection: ConnectionKey(connection),
            channel: channel.to_owned().try_into().unwrap(),
            wants: vec![],
        }
    }

    fn close(connection: u128) -> Request {
        Request::Close { connection: ConnectionKey(connection) }
    }

    /// Opens a connection; the server that it went to.
    fn opened(fleet: &mut Fleet, connection: u128, channel: &str) -> Result<u64, Nowhere> {
        let route = fleet.find(&open(connection, channel))?;
        let server = route.server.0;
        fleet.place(route);
        Ok(server)
    }

    fn fleet(rooms: &[usize]) -> Fleet {
        let mut fleet = Fleet::default();
        (1..).zip(rooms).for_each(|(id, room)| fleet.add(ServerId(id), *room));
        fleet
    }

    #[test]
    fn new_channels_go_where_there_is_most_room_in_relation() {
        let mut fleet = fleet(&[2, 8]);
        let went: Vec<_> = (0..6).map(|at| opened(&mut fleet, at, &format!("a/{at}")).unwrap()).collect();
        assert_eq!(went, [1, 2, 2, 2, 2, 1]);
    }

    #[test]
    fn a_channel_stays_where_it_is_until_nobody_is_left() {
        let mut fleet = fleet(&[4, 4]);
        let went: Vec<_> = (0..3).map(|at| opened(&mut fleet, at, "a/x").unwrap()).collect();
        assert_eq!(went, [1, 1, 1]);
        assert_eq!(opened(&mut fleet, 9, "b/x"), Ok(2), "another application's channel of that name is another");
        (0..3).for_each(|at| fleet.release(ConnectionKey(at)));
        fleet.load(ServerId(1), 3);
        assert_eq!(opened(&mut fleet, 3, "a/x"), Ok(2), "it began anew, and the first server has more than was placed");
    }

    #[test]
    fn a_server_that_drains_gets_joiners_but_no_channels() {
        let mut fleet = fleet(&[4, 4]);
        opened(&mut fleet, 1, "a/x").unwrap();
        fleet.drain(ServerId(1));
        assert_eq!(opened(&mut fleet, 2, "a/x"), Ok(1));
        assert_eq!(opened(&mut fleet, 3, "a/y"), Ok(2));
        fleet.drain(ServerId(2));
        assert_eq!(opened(&mut fleet, 4, "a/z"), Err(Nowhere::NoServer));
        assert!(!fleet.is_drained(ServerId(1)));
        (1..3).for_each(|at| fleet.release(ConnectionKey(at)));
        assert!(fleet.is_drained(ServerId(1)));
    }

    #[test]
    fn requests_go_where_their_connection_is() {
        let mut fleet = fleet(&[1, 1]);
        assert_eq!(fleet.find(&close(1)), Err(Nowhere::ConnectionUnknown));
        assert_eq!((opened(&mut fleet, 1, "a/x"), opened(&mut fleet, 2, "a/y")), (Ok(1), Ok(2)));
        assert_eq!([1, 2].map(|at| fleet.find(&close(at)).unwrap().server), [ServerId(1), ServerId(2)]);
        assert_eq!(opened(&mut fleet, 3, "a/z"), Err(Nowhere::Full));
        assert!(fleet.begin_close(ConnectionKey(1)) && !fleet.begin_close(ConnectionKey(1)));
    }

    #[test]
    fn a_server_that_goes_takes_its_connections_with_it_and_nothing_else() {
        let mut fleet = fleet(&[4, 4]);
        for at in 0..4 {
            opened(&mut fleet, at, &format!("a/{}", at % 2)).unwrap();
        }
        assert_eq!(fleet.remove(ServerId(1)), [ConnectionKey(0), ConnectionKey(2)]);
        assert_eq!((fleet.connections(), fleet.channels.len()), (2, 1));
        assert_eq!(opened(&mut fleet, 9, "a/0"), Ok(2));
    }
}

//! What a shard is about to send: sealed bytes in one arena, cut into trains.
//!
//! Datagrams are sealed one behind the other, so datagrams that follow each other to one path lie in one piece and
//! leave as one message (UDP_SEGMENT): all of the first one's size, only the last may be shorter. A path that cannot take
//! trains is remembered and gets its datagrams one by one. Memory is claimed when this is made. How a train is handed to the kernel is
//! not known here.

use std::collections::VecDeque;

use crate::limits::{DATAGRAM_LEN_MAX, EGRESS_LEN, LONE_DESTINATIONS_MAX, MESSAGE_LEN_MAX, TRAINS_MAX};
use crate::machine::Path;

/// The sealed datagrams of one flush.
#[derive(Debug)]
pub struct Trains {
    arena: Box<[u8]>,
    /// End of what was committed.
    tail: usize,
    reserved: Option<(Path, usize)>,
    trains: Vec<Train>,
    /// The most datagrams the kernel takes in one message; 1 where it takes no trains.
    segments_max: usize,
    lone: VecDeque<Path>,
}

/// Consecutive datagrams to one path.
#[derive(Clone, Copy, Debug)]
pub struct Train {
    pub path: Path,
    start: usize,
    pub len: usize,
    /// Bytes of each datagram but the last.
    pub segment: usize,
    pub segments: usize,
    /// Whether another datagram may follow.
    open: bool,
}

impl Trains {
    pub fn new(segments_max: usize) -> Self {
        Self {
            arena: vec![0; EGRESS_LEN].into_boxed_slice(),
            tail: 0,
            reserved: None,
            trains: Vec::with_capacity(TRAINS_MAX),
            segments_max,
            lone: VecDeque::with_capacity(LONE_DESTINATIONS_MAX),
        }
    }

    #[inline]
    pub fn has_room_for(&self, len: usize) -> bool {
        self.tail + len <= self.arena.len() && self.trains.len() < TRAINS_MAX
    }

    /// Lends `len` bytes behind what was committed. `None` for what no datagram can hold, or without room.
    #[inline]
    pub fn reserve(&mut self, path: &Path, len: usize) -> Option<&mut [u8]> {
        if len > DATAGRAM_LEN_MAX || !self.has_room_for(len) {
            return None;
        }
        self.reserved = Some((*path, len));
        self.arena.get_mut(self.tail..self.tail + len)
    }

    /// Joins the first `len` bytes of the reservation to the last train, or begins another.
    #[inline]
    pub fn commit(&mut self, len: usize) {
        let Some((path, reserved)) = self.reserved.take() else {
            debug_assert!(false, "commit without a reservation");
            return;
        };
        debug_assert!(len <= reserved, "commit of more than was reserved");
        let len = len.min(reserved);
        match self.trains.last_mut() {
            Some(last) if last.path == path && last.takes(len, self.segments_max) => last.add(len),
            _ => self.begin(path, len),
        }
        self.tail += len;
    }

    fn begin(&mut self, path: Path, len: usize) {
        let open = self.segments_max > 1 && len > 0 && !self.lone.contains(&path);
        self.trains.push(Train { path, start: self.tail, len, segment: len, segments: 1, open });
    }

    pub fn is_empty(&self) -> bool {
        self.trains.is_empty()
    }

    pub fn iter(&self) -> std::slice::Iter<'_, Train> {
        self.trains.iter()
    }

    pub fn get(&self, index: usize) -> Option<&Train> {
        self.trains.get(index)
    }

    /// The datagrams of a train, each by itself.
    pub fn datagrams(&self, train: &Train) -> impl Iterator<Item = &[u8]> {
        // `max(1)` for a lone empty datagram, which is then not sent again.
        self.bytes(train).chunks(train.segment.max(1))
    }

    /// All bytes of a train, in one piece.
    pub fn bytes(&self, train: &Train) -> &[u8] {
        self.arena.get(train.start..train.start + train.len).unwrap_or(&[])
    }

    /// From now on this path gets its datagrams one by one.
    pub fn send_singly(&mut self, path: Path) {
        if self.lone.contains(&path) {
            return;
        }
        if self.lone.len() == LONE_DESTINATIONS_MAX {
            self.lone.pop_front();
        }
        self.lone.push_back(path);
    }

    /// Forgets everything that was committed: the kernel has taken it.
    pub fn clear(&mut self) {
        self.trains.clear();
        self.tail = 0;
    }
}

impl Train {
    fn takes(&self, len: usize, segments_max: usize) -> bool {
        self.open && len > 0 && len <= self.segment && self.segments < segments_max && self.len + len <= MESSAGE_LEN_MAX
    }

    fn add(&mut self, len: usize) {
        self.len += len;
        self.segments += 1;
        self.open = len == self.segment;
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;

    fn path(port: u16) -> Path {
        Path { local: 0, remote: SocketAddr::from(([127, 0, 0, 1], port)) }
    }

    fn put(trains: &mut Trains, port: u16, len: usize) {
        trains.reserve(&path(port), len).unwrap().fill(len as u8);
        trains.commit(len);
    }

    fn shape(trains: &Trains) -> Vec<(u16, usize, usize)> {
        trains.iter().map(|t| (t.path.remote.port(), t.segments, t.len)).collect()
    }

    #[test]
    fn equal_sizes_make_a_train_and_a_shorter_one_ends_it() {
        let mut trains = Trains::new(64);
        for len in [100, 100, 60, 60, 100] {
            put(&mut trains, 1, len);
        }
        assert_eq!(shape(&trains), [(1, 3, 260), (1, 1, 60), (1, 1, 100)]);
        let first = *trains.get(0).unwrap();
        assert_eq!(trains.datagrams(&first).map(<[u8]>::len).collect::<Vec<_>>(), [100, 100, 60]);
    }

    #[test]
    fn another_path_begins_another_train() {
        let mut trains = Trains::new(64);
        for port in [1, 2, 2, 1] {
            put(&mut trains, port, 10);
        }
        assert_eq!(shape(&trains), [(1, 1, 10), (2, 2, 20), (1, 1, 10)]);
    }

    #[test]
    fn train_ends_at_the_kernels_limits() {
        let mut trains = Trains::new(4);
        (0..5).for_each(|_| put(&mut trains, 1, 10));
        assert_eq!(shape(&trains), [(1, 4, 40), (1, 1, 10)]);
        let mut trains = Trains::new(128);
        (0..40).for_each(|_| put(&mut trains, 1, 2000));
        assert_eq!(shape(&trains), [(1, 32, 64_000), (1, 8, 16_000)]);
    }

    #[test]
    fn reservation_not_committed_is_taken_back() {
        let mut trains = Trains::new(64);
        trains.reserve(&path(1), 50).unwrap().fill(1);
        put(&mut trains, 2, 8);
        trains.reserve(&path(2), 50).unwrap();
        trains.commit(7);
        assert_eq!(shape(&trains), [(2, 2, 15)]);
    }

    #[test]
    fn empty_datagram_travels_alone() {
        let mut trains = Trains::new(64);
        for len in [10, 0, 0, 10] {
            put(&mut trains, 1, len);
        }
        assert_eq!(shape(&trains), [(1, 1, 10), (1, 1, 0), (1, 1, 0), (1, 1, 10)]);
    }

    #[test]
    fn full_arena_lends_nothing_until_it_is_cleared() {
        let mut trains = Trains::new(64);
        while trains.has_room_for(2000) {
            put(&mut trains, 1, 2000);
        }
        assert!(trains.reserve(&path(1), 2000).is_none());
        assert!(trains.reserve(&path(1), DATAGRAM_LEN_MAX + 1).is_none());
        trains.clear();
        assert!(trains.reserve(&path(1), 2000).is_some());
    }

    #[test]
    fn lone_destinations_get_no_trains_and_are_bounded() {
        let mut trains = Trains::new(64);
        for port in 0..=LONE_DESTINATIONS_MAX as u16 {
            trains.send_singly(path(port));
        }
        trains.send_singly(path(1));
        assert_eq!(trains.lone.len(), LONE_DESTINATIONS_MAX);
        (0..2).for_each(|_| put(&mut trains, 1, 10));
        (0..2).for_each(|_| put(&mut trains, 0, 10));
        assert_eq!(shape(&trains), [(1, 1, 10), (1, 1, 10), (0, 2, 20)]);
    }
}

//! What is about to be sent: sealed datagrams in one arena, cut into messages, each with the header the kernel wants.
//!
//! Datagrams that follow each other to one viewer make one message (UDP_SEGMENT): all of the first one's size, only the last may
//! be shorter. Headers are linked once; of each message only the place, the length and the name are written. The arena is
//! small enough to stay in the cache, and used again from its start after each flush.

use std::net::SocketAddrV4;

use crate::arguments::Way;
use crate::carrier::{RECEIVE_SLOTS, SLOT_LEN};
use crate::memory::Memory;

pub(crate) struct Outgoing {
    arena: Memory,
    /// End of what was committed.
    tail: usize,
    count: usize,
    /// Size of the datagrams in the last message while another may join it, else 0.
    segment: usize,
    /// Datagrams in the last message.
    segments: usize,
    segments_max: usize,
    headers: Box<[libc::mmsghdr]>,
    vectors: Box<[libc::iovec]>,
    names: Box<[libc::sockaddr_in]>,
    controls: Box<[Control]>,
    sockets: Box<[u32]>,
    /// Messages that the kernel did not take.
    pub(crate) refused: u64,
}

/// Where a viewer's datagrams go, in the kernel's form.
#[derive(Clone, Copy)]
pub(crate) struct Destination {
    name: libc::sockaddr_in,
    socket: u32,
}

impl Destination {
    pub(crate) fn new(address: SocketAddrV4, socket: u32) -> Self {
        let name = libc::sockaddr_in {
            sin_family: libc::AF_INET as libc::sa_family_t,
            sin_port: address.port().to_be(),
            sin_addr: libc::in_addr { s_addr: u32::from(*address.ip()).to_be() },
            sin_zero: [0; 8],
        };
        Self { name, socket }
    }

    /// The number by which the carrier knows the socket.
    pub(crate) fn socket(&self) -> u32 {
        self.socket
    }
}

/// The control message that says where to cut a message.
#[derive(Clone, Copy)]
#[repr(C)]
struct Control {
    header: libc::cmsghdr,
    segment: u16,
    padding: [u8; 6],
}

impl Control {
    const EMPTY: Self = Self {
        header: libc::cmsghdr {
            cmsg_len: size_of::<libc::cmsghdr>() + size_of::<u16>(),
            cmsg_level: libc::SOL_UDP,
            cmsg_type: libc::UDP_SEGMENT,
        },
        segment: 0,
        padding: [0; 6],
    };
}

impl Outgoing {
    pub(crate) fn new(way: &Way) -> Self {
        let vector = libc::iovec { iov_base: std::ptr::null_mut(), iov_len: 0 };
        let mut outgoing = Self {
            arena: Memory::new(ARENA_LEN),
            tail: 0,
            count: 0,
            segment: 0,
            segments: 0,
            segments_max: usize::from(way.segments),
            // SAFETY: all-zero bytes are a valid `mmsghdr`: null pointers and zero lengths.
            headers: vec![unsafe { std::mem::zeroed() }; MESSAGES_MAX].into_boxed_slice(),
            vectors: vec![vector; MESSAGES_MAX].into_boxed_slice(),
            names: vec![EMPTY_NAME; MESSAGES_MAX].into_boxed_slice(),
            controls: vec![Control::EMPTY; MESSAGES_MAX].into_boxed_slice(),
            sockets: vec![0; MESSAGES_MAX].into_boxed_slice(),
            refused: 0,
        };
        outgoing.link(way.connected);
        outgoing
    }

    /// Points each header at its vector, its control message and, where sockets are not connected, its name.
    fn link(&mut self, connected: bool) {
        for (index, header) in self.headers.iter_mut().enumerate() {
            let header = &mut header.msg_hdr;
            header.msg_iov = &raw mut self.vectors[index];
            header.msg_iovlen = 1;
            header.msg_control = (&raw mut self.controls[index]).cast();
            if !connected {
                header.msg_name = (&raw mut self.names[index]).cast();
                header.msg_namelen = NAME_LEN;
            }
        }
    }

    /// Whether as many datagrams of together `len` bytes can be committed before a flush.
    pub(crate) fn has_room_for(&self, datagrams: usize, len: usize) -> bool {
        self.tail + len <= ARENA_LEN && self.count + datagrams <= MESSAGES_MAX
    }

    /// Lends `len` bytes behind what was committed; panics unless `has_room_for` has said that they are there.
    pub(crate) fn room(&mut self, len: usize) -> &mut [u8] {
        // SAFETY: the kernel only reads the arena, during calls that take `&mut self`; nor is another part lent meanwhile.
        unsafe { self.arena.lend(self.tail, len) }
    }

    /// The next datagram begins a message, since it goes to somebody else.
    pub(crate) fn end_message(&mut self) {
        self.segment = 0;
    }

    /// Takes the `len` bytes that were lent, into the last message or a new one.
    pub(crate) fn commit(&mut self, to: &Destination, len: usize) {
        if len <= self.segment && self.segments < self.segments_max && self.last_len() + len <= MESSAGE_LEN_MAX {
            self.join(len);
        } else {
            self.begin(to, len);
        }
        self.tail += len;
    }

    fn last_len(&self) -> usize {
        self.vectors[self.count - 1].iov_len
    }

    fn join(&mut self, len: usize) {
        let last = self.count - 1;
        self.vectors[last].iov_len += len;
        self.headers[last].msg_hdr.msg_controllen = size_of::<Control>();
        self.segments += 1;
        if len < self.segment {
            self.segment = 0;
        }
    }

    fn begin(&mut self, to: &Destination, len: usize) {
        let next = self.count;
        self.vectors[next] = libc::iovec { iov_base: self.arena.address(self.tail).cast(), iov_len: len };
        self.headers[next].msg_hdr.msg_controllen = 0;
        self.controls[next].segment = len as u16;
        self.names[next] = to.name;
        self.sockets[next] = to.socket;
        self.count += 1;
        (self.segment, self.segments) = (len, 1);
    }

    pub(crate) fn messages(&mut self) -> &mut [libc::mmsghdr] {
        &mut self.headers[..self.count]
    }

    /// For each message the number of the socket it leaves by.
    pub(crate) fn sockets(&self) -> &[u32] {
        &self.sockets[..self.count]
    }

    /// Forgets the messages: the kernel has taken what it would.
    pub(crate) fn clear(&mut self) {
        (self.tail, self.count, self.segment) = (0, 0, 0);
    }
}

/// The bytes of a message that is one datagram; `None` for a train.
pub(crate) fn lone(message: &libc::msghdr) -> Option<&libc::iovec> {
    // SAFETY: `link` has pointed every header at a vector of ours.
    (message.msg_controllen == 0).then(|| unsafe { &*message.msg_iov })
}

const ARENA_LEN: usize = 256 * 1024;
pub(crate) const MESSAGES_MAX: usize = 256;

/// 65,535 less the headers of IPv4 and UDP.
const MESSAGE_LEN_MAX: usize = 65_507;

pub(crate) const EMPTY_NAME: libc::sockaddr_in =
    libc::sockaddr_in { sin_family: 0, sin_port: 0, sin_addr: libc::in_addr { s_addr: 0 }, sin_zero: [0; 8] };

pub(crate) const NAME_LEN: libc::socklen_t = size_of::<libc::sockaddr_in>() as libc::socklen_t;

const _: () =
    assert!(RECEIVE_SLOTS <= MESSAGES_MAX && RECEIVE_SLOTS * SLOT_LEN <= ARENA_LEN, "one viewer's share fits");

//! A virtual client's answer to an offer, as a browser makes it: line by line, from the text of the offer alone.
//!
//! It knows nothing of `negotiate`, so that what the server offers and what it understands are held against a second reading.

/// Who answers, and what it can play.
#[derive(Clone, Debug)]
pub struct Answerer<'a> {
    pub ufrag: String,
    pub password: String,
    /// Codecs as `a=rtpmap` names them.
    pub codecs: &'a [&'a str],
    pub rtx: bool,
}

impl Answerer<'_> {
    /// Receives everything that is sent in a codec it knows, and rejects a section in which there is none.
    pub fn answer(&self, offer: &str) -> String {
        let mut sections = offer.split("\r\nm=");
        let session = sections.next().unwrap_or_default();
        let sections: Vec<_> = sections.map(Offered).collect();
        let open = |section: &&Offered<'_>| !section.is_rejected() && !self.formats(section).is_empty();
        let mids: String = sections.iter().filter(open).map(|section| format!(" {}", section.mid())).collect();
        let mut answer = format!(
            "v=0\r\no=- 7 {} IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE{mids}\r\na=extmap-allow-mixed\r\n",
            session.split(' ').nth(2).unwrap_or("1")
        );
        for section in &sections {
            if open(&section) {
                self.accept(section, &mut answer);
            } else {
                answer += &format!("m={} 0 UDP/TLS/RTP/SAVPF 0\r\na=mid:{}\r\n", section.kind(), section.mid());
            }
        }
        answer
    }

    fn accept(&self, section: &Offered<'_>, answer: &mut String) {
        let numbers = self.formats(section);
        let listed: String = numbers.iter().map(|number| format!(" {number}")).collect();
        let fingerprint = ["AA"; 32].join(":");
        *answer += &format!(
            "m={} 9 UDP/TLS/RTP/SAVPF{listed}\r\nc=IN IP4 0.0.0.0\r\na=ice-ufrag:{}\r\na=ice-pwd:{}\r\n\
             a=fingerprint:sha-256 {fingerprint}\r\na=setup:active\r\na=mid:{}\r\na={}\r\na=rtcp-mux\r\n",
            section.kind(),
            self.ufrag,
            self.password,
            section.mid(),
            if section.has("a=sendonly") { "recvonly" } else { "inactive" },
        );
        let echoed = section.lines().filter(|line| {
            let of_format = ["a=rtpmap:", "a=fmtp:", "a=rtcp-fb:"].iter().find_map(|name| line.strip_prefix(name));
            let number = of_format.and_then(|rest| rest.split(' ').next());
            number.is_some_and(|number| numbers.contains(&number)) || line.starts_with("a=extmap:")
        });
        echoed.for_each(|line| *answer += &format!("{line}\r\n"));
    }

    /// The payload types that it takes, each followed by that of its repairs.
    fn formats<'a>(&self, section: &Offered<'a>) -> Vec<&'a str> {
        let known = section.values("a=rtpmap:").filter(|(_, encoding)| self.codecs.contains(encoding));
        let repair = |number: &str| section.values("a=fmtp:").find(|(_, of)| *of == format!("apt={number}"));
        let with_repair = |(number, _)| [Some(number), repair(number).filter(|_| self.rtx).map(|(rtx, _)| rtx)];
        known.flat_map(with_repair).flatten().collect()
    }
}

/// A media section of the offer, from behind its `m=`.
#[derive(Clone, Copy)]
struct Offered<'a>(&'a str);

impl<'a> Offered<'a> {
    fn lines(self) -> impl Iterator<Item = &'a str> {
        self.0.lines()
    }

    fn kind(self) -> &'a str {
        self.0.split(' ').next().unwrap_or_default()
    }

    fn is_rejected(self) -> bool {
        self.0.split(' ').nth(1) == Some("0")
    }

    fn has(self, line: &str) -> bool {
        self.lines().any(|own| own == line)
    }

    fn mid(self) -> &'a str {
        self.lines().find_map(|line| line.strip_prefix("a=mid:")).unwrap_or_default()
    }

    /// What stands behind each payload type in the lines of a name.
    fn values(self, name: &'static str) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.lines().filter_map(move |line| line.strip_prefix(name)?.split_once(' '))
    }
}

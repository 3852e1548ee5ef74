//! A Rust file as the checks see it: its code without comments and texts, which lines are tests, its functions.
//!
//! This is a scanner of tokens and braces, not a parser: enough to find words and measure lengths. Blanked bytes
//! become spaces, so positions and lines stay those of the file.

use super::File;

/// One Rust file.
pub(crate) struct Source<'a> {
    pub(crate) path: &'a str,
    pub(crate) text: &'a str,
    /// The text with comments, strings and characters blanked.
    pub(crate) code: String,
    /// The byte ranges of `code` that only tests compile.
    tests: Vec<(usize, usize)>,
}

/// A function with a body.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Function<'a> {
    pub(crate) name: &'a str,
    /// The line it starts on, counted from one.
    pub(crate) line: usize,
    /// From the line of its `fn` to that of its closing brace.
    pub(crate) lines: usize,
}

impl<'a> Source<'a> {
    pub(crate) fn read(file: &'a File) -> Self {
        let code = blank(&file.text);
        let tests = test_ranges(&code);
        Self { path: &file.path, text: &file.text, code, tests }
    }

    /// The first directory of the path: the package.
    pub(crate) fn package(&self) -> &str {
        self.path.split('/').next().unwrap_or("")
    }

    /// Whether the whole file is compiled for tests and benches alone.
    pub(crate) fn is_test(&self) -> bool {
        let in_directory = self.path.split('/').any(|part| matches!(part, "tests" | "benches" | "examples"));
        in_directory || self.path.ends_with("/tests.rs")
    }

    /// Where `word` stands in code that is no test, by line counted from one. A word that starts or ends with a
    /// letter matches only whole names.
    pub(crate) fn lines_with(&self, word: &str) -> Vec<usize> {
        let places = self.code.match_indices(word).map(|(at, _)| at);
        places.filter(|at| is_whole(&self.code, *at, word) && !self.in_tests(*at)).map(|at| self.line_of(at)).collect()
    }

    /// Every function that is no test.
    pub(crate) fn functions(&self) -> Vec<Function<'_>> {
        let starts = self.code.match_indices("fn ").map(|(at, _)| at);
        let starts = starts.filter(|at| is_whole(&self.code, *at, "fn ") && !self.in_tests(*at));
        starts.filter_map(|at| self.function_at(at)).collect()
    }

    fn function_at(&self, at: usize) -> Option<Function<'_>> {
        let (open, close) = body(&self.code, at)?;
        let name = self.code.get(at + 3..open)?.trim_start();
        let name = name.split(|c: char| !is_word(c)).next().filter(|name| !name.is_empty())?;
        Some(Function { name, line: self.line_of(at), lines: self.line_of(close) - self.line_of(at) + 1 })
    }

    fn in_tests(&self, at: usize) -> bool {
        self.tests.iter().any(|(start, end)| (*start..*end).contains(&at))
    }

    fn line_of(&self, at: usize) -> usize {
        self.code.as_bytes().iter().take(at).filter(|byte| **byte == b'\n').count() + 1
    }
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn is_whole(code: &str, at: usize, word: &str) -> bool {
    let joins = |outside: Option<char>, edge: Option<char>| outside.is_some_and(is_word) && edge.is_some_and(is_word);
    let before = code.get(..at).and_then(|text| text.chars().next_back());
    let after = code.get(at + word.len()..).and_then(|text| text.chars().next());
    !joins(before, word.chars().next()) && !joins(after, word.chars().next_back())
}

/// The braces of the body that follows `at`; nothing where a semicolon comes first.
fn body(code: &str, at: usize) -> Option<(usize, usize)> {
    let mut nested = 0_u32;
    let mut open = None;
    for (position, byte) in code.bytes().enumerate().skip(at) {
        match byte {
            b'(' | b'[' => nested += 1,
            b')' | b']' => nested = nested.saturating_sub(1),
            b'{' if nested == 0 => {
                open = Some(position);
                break;
            }
            b';' if nested == 0 => return None,
            _ => {}
        }
    }
    let open = open?;
    closing(code, open).map(|close| (open, close))
}

/// The brace that closes the one at `open`.
fn closing(code: &str, open: usize) -> Option<usize> {
    let mut depth = 0_u32;
    for (position, byte) in code.bytes().enumerate().skip(open) {
        match byte {
            b'{' => depth += 1,
            b'}' if depth == 1 => return Some(position),
            b'}' => depth -= 1,
            _ => {}
        }
    }
    None
}

/// What follows each `#[cfg(test)]` and has a body.
fn test_ranges(code: &str) -> Vec<(usize, usize)> {
    let marks = code.match_indices("#[cfg(test)]").map(|(at, mark)| (at, at + mark.len()));
    marks.filter_map(|(start, after)| body(code, after).map(|(_, close)| (start, close))).collect()
}

/// Replaces comments, strings and character literals by spaces, line ends apart.
fn blank(text: &str) -> String {
    let mut code = text.as_bytes().to_vec();
    let mut at = 0;
    while let Some(rest) = text.as_bytes().get(at..).filter(|rest| !rest.is_empty()) {
        let follows_word = at > 0 && text.as_bytes().get(at - 1).is_some_and(|byte| is_word(char::from(*byte)));
        let len = blanked_len(rest, follows_word);
        for byte in code.iter_mut().skip(at).take(len).filter(|byte| **byte != b'\n') {
            *byte = b' ';
        }
        at += len.max(1);
    }
    String::from_utf8_lossy(&code).into_owned()
}

/// How many bytes from here are comment, string or character; zero where code stands.
fn blanked_len(rest: &[u8], follows_word: bool) -> usize {
    match rest {
        [b'/', b'/', ..] => rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len()),
        [b'/', b'*', ..] => comment_len(rest),
        [b'"', ..] => string_len(rest, 1),
        [b'r', b'"' | b'#', ..] if !follows_word => raw_string_len(rest, 1),
        [b'b' | b'c', b'r', b'"' | b'#', ..] if !follows_word => raw_string_len(rest, 2),
        [b'\'', ..] => character_len(rest),
        // One byte that is no ASCII cannot be code that any check looks for.
        [byte, ..] if !byte.is_ascii() => 1,
        _ => 0,
    }
}

fn comment_len(rest: &[u8]) -> usize {
    let (mut at, mut depth) = (0, 0_u32);
    while at < rest.len() {
        match rest.get(at..at + 2) {
            Some(b"/*") => (depth, at) = (depth + 1, at + 2),
            Some(b"*/") => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            break;
        }
    }
    at
}

fn string_len(rest: &[u8], start: usize) -> usize {
    let mut at = start;
    while let Some(byte) = rest.get(at) {
        at += match byte {
            b'\\' => 2,
            b'"' => return at + 1,
            _ => 1,
        };
    }
    rest.len()
}

fn raw_string_len(rest: &[u8], start: usize) -> usize {
    let hashes = rest.iter().skip(start).take_while(|byte| **byte == b'#').count();
    if rest.get(start + hashes) != Some(&b'"') {
        return 0;
    }
    let end: Vec<u8> = std::iter::once(b'"').chain(std::iter::repeat_n(b'#', hashes)).collect();
    let body = start + hashes + 1;
    let found = rest.get(body..).and_then(|text| text.windows(end.len()).position(|window| window == end));
    found.map_or(rest.len(), |position| body + position + end.len())
}

/// A character literal's length; zero for a lifetime.
fn character_len(rest: &[u8]) -> usize {
    if rest.get(1) == Some(&b'\\') {
        let end = rest.iter().skip(3).position(|byte| *byte == b'\'');
        return end.map_or(0, |position| position + 4);
    }
    // A character is at most four bytes long.
    let end = rest.iter().take(6).skip(2).position(|byte| *byte == b'\'');
    match end {
        Some(0) => 3,
        Some(more) if rest.get(1).is_some_and(|byte| !byte.is_ascii()) => more + 3,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> File {
        File { path: "core/src/x.rs".into(), text: text.into() }
    }

    #[test]
    fn comments_texts_and_characters_are_blanked_and_lines_kept() {
        let text = "a // b\nc /* d /* e */\n f */ g \"h\\\" i\" j r#\"k\" l\"# 'm' '\\'' '{' n<'o> br\"p\" q";
        let code = blank(text);
        assert_eq!(code.len(), text.len());
        assert_eq!(code.matches('\n').count(), 2);
        assert_eq!(code.split_whitespace().collect::<Vec<_>>(), ["a", "c", "g", "j", "n<'o>", "q"]);
    }

    #[test]
    fn words_are_found_whole_and_outside_of_tests() {
        let file = file("use rand::x;\nfn a() { brand::x(); }\n#[cfg(test)]\nmod tests { use rand::y; }\n// rand::\n");
        assert_eq!(Source::read(&file).lines_with("rand::"), [1]);
    }

    #[test]
    fn functions_are_measured_and_declarations_are_not() {
        let text = "trait T { fn none(&self) -> [u8; 2]; }\nfn one<F: Fn(u8)>(f: F)\nwhere F: Copy,\n{\n    if a { b }\n}\nstruct S { f: fn (u8) }\n";
        let file = file(text);
        assert_eq!(Source::read(&file).functions(), [Function { name: "one", line: 2, lines: 5 }]);
    }

    #[test]
    fn a_test_module_in_a_file_of_its_own_hides_nothing_here() {
        let file = file("#[cfg(test)]\nmod tests;\nfn a() { std::thread::park() }\n");
        assert_eq!(Source::read(&file).lines_with("std::thread"), [3]);
    }
}

//! The SDK's files without their comments, which whoever loads a page need not load with it.
//!
//! In goes a file of JavaScript, out comes its text with each line of comment left empty, so that the numbers of lines in a
//! browser's report of an error are those of the file. A comment is what stands on lines of its own: from `//` to the end of the
//! line, or from `/**` to the line that ends with `*/`. It is no parser: a comment behind code stays, and a text that goes over
//! several lines must not look like a comment. The SDK's tests hold its files to that. Used by the build script alone.

/// The text, its comments emptied.
pub(crate) fn bare(text: &str) -> String {
    let mut is_within = false;
    text.split_inclusive('\n').map(|line| if is_comment(line.trim(), &mut is_within) { "\n" } else { line }).collect()
}

fn is_comment(line: &str, is_within: &mut bool) -> bool {
    let begins = line.starts_with("/**");
    let is_comment = *is_within || begins || line.starts_with("//");
    *is_within = (*is_within || begins) && !line.ends_with("*/");
    is_comment
}

#[cfg(test)]
mod tests {
    use super::bare;

    #[test]
    fn comments_on_lines_of_their_own_are_emptied_and_lines_keep_their_numbers() {
        let text = "// Head.\n\n/** One. */\nconst a = 1;\n  /**\n   * Two\n   */\n  b(); // kept\n";
        assert_eq!(bare(text), "\n\n\nconst a = 1;\n\n\n\n  b(); // kept\n");
    }

    #[test]
    fn code_is_left_as_it_is() {
        let text = "const address = \"http://host/**\";\nconst half = 1 /\n  2;\nreturn `${a}`;";
        assert_eq!(bare(text), text);
    }
}

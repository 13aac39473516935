//! Text of others that is shown to people.

/// Whether a terminal or a log reader may interpret the character as more than text: it ends lines, moves the cursor,
/// changes the order in which its neighbours are shown (Unicode property `Bidi_Control`), or is itself not shown.
pub fn is_more_than_text(c: char) -> bool {
    let formats = matches!(
        c,
        '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}'
    );
    c.is_control() || formats
}

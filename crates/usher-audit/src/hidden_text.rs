//! Characters that a terminal or a log viewer acts upon, or that make a text look like another (req N4).

/// Whether `c` is not shown as itself: control characters, zero-width and bidirectional ones, line and paragraph separators, tags.
pub fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
                | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}'
                | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}'
        )
}

/// JSON with hidden characters escaped in it. They stand in its strings alone, where `\u` is an escape.
pub fn escape_in_json(json: String) -> String {
    if json.is_ascii() && !json.contains('\u{7f}') {
        return json;
    }
    let mut out = String::with_capacity(json.len() + 16);
    let mut units = [0; 2];
    for c in json.chars() {
        if is_hidden(c) {
            for unit in c.encode_utf16(&mut units) {
                out.push_str(&format!("\\u{unit:04x}"));
            }
        } else {
            out.push(c);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_escaped_reads_back_as_it_was() {
        // req N4
        let text = "a\u{1b}[31m\r\n\u{7f}\u{85}\u{2028}\u{2029}\u{202e}\u{2066}\u{feff}\u{e0041}ö😀";
        let json = escape_in_json(serde_json::to_string(text).expect("a string"));
        assert!(!json.chars().any(is_hidden), "{json}");
        assert!(json.contains("ö😀"));
        assert_eq!(serde_json::from_str::<String>(&json).expect("JSON"), text);
    }
}

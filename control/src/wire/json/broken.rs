//! The number of a request that is no JSON: libraries since 3.9 wait for its answer for ever.
//!
//! `JSON.stringify` writes what serde_json does not take: half a surrogate pair, for one. Bytes may be no text, too.

/// The `id` among the members of an object that cannot be read, if it stands before what breaks it.
pub(super) fn id_of_broken(text: &[u8]) -> Option<u32> {
    let mut rest = text.trim_ascii_start();
    if !rest.starts_with(b"{") {
        return None;
    }
    let mut depth = 0_usize;
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        match byte {
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.checked_sub(1)?,
            b'"' => {
                let end = end_of_string(after)?;
                rest = &after[end + 1..];
                let value = rest.trim_ascii_start().strip_prefix(b":");
                if let (1, b"id", Some(value)) = (depth, &after[..end], value) {
                    return whole_number(value.trim_ascii_start());
                }
            }
            _ => {}
        }
    }
    None
}

/// Where the quote is that ends it.
fn end_of_string(text: &[u8]) -> Option<usize> {
    let mut escaped = false;
    text.iter().position(|byte| {
        let ends = *byte == b'"' && !escaped;
        escaped = *byte == b'\\' && !escaped;
        ends
    })
}

/// A number with something behind it that can stand behind a member: of one that is cut off, or has a fraction, nothing is
/// known.
fn whole_number(text: &[u8]) -> Option<u32> {
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if !matches!(text[digits..].trim_ascii_start().first(), Some(b',' | b'}')) {
        return None;
    }
    std::str::from_utf8(&text[..digits]).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_is_that_of_the_outermost_object() {
        for (text, id) in [
            (r#"{"id":3,"#, Some(3)),
            (r#" { "method" : "id" , "id" : 4 , x"#, Some(4)),
            (r#"{"data":{"id":5},"a":["id",{"id":6}],"b":"\"id\":7","id":8}"#, Some(8)),
            (r#"{"id":3"#, None),
            (r#"{"id":3.5,"#, None),
            (r#"{"id":-3,"#, None),
            (r#"{"id":"3","#, None),
            (r#"{"id":4294967296,"#, None),
            (r#"{"data":{"id":5},"#, None),
            (r#"{"data":{"id":5}}}"id":6,"#, None),
            (r#"["id":3,"#, None),
            (r#"{"id"#, None),
            ("", None),
        ] {
            assert_eq!(id_of_broken(text.as_bytes()), id, "{text}");
        }
    }
}

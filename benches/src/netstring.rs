//! Netstrings: the framing of the JSON generations before 3.9, `143:{…},`.
//!
//! The worker does not speak those generations yet; this is here so that framing can be measured on the work that the Go
//! worker's table was measured on, and goes when the worker has its own.

use std::io::{self, BufRead, Write};

/// Decimal digits of the longest length that is looked at.
const DIGITS_MAX: usize = 10;

/// Writes one netstring with a single write; `buffer` is scratch and may be reused.
///
/// # Errors
/// The target's.
pub fn write(target: &mut dyn Write, buffer: &mut Vec<u8>, payload: &[u8]) -> io::Result<()> {
    buffer.clear();
    write!(buffer, "{}:", payload.len())?;
    buffer.extend_from_slice(payload);
    buffer.push(b',');
    target.write_all(buffer)
}

/// Reads one netstring into `out`; returns the payload's length.
///
/// # Errors
/// The source's; `InvalidData` when it is no netstring or longer than `out`.
pub fn read(source: &mut impl BufRead, out: &mut [u8]) -> io::Result<usize> {
    let mut len = 0_usize;
    let mut digits = 0;
    loop {
        match byte(source)? {
            // A leading zero is only the empty string's.
            digit @ b'0'..=b'9' if digits < DIGITS_MAX && (digits == 0 || len > 0) => {
                len = len * 10 + usize::from(digit - b'0');
                digits += 1;
            }
            b':' if digits > 0 => break,
            _ => return Err(io::ErrorKind::InvalidData.into()),
        }
    }
    let payload = out.get_mut(..len).ok_or(io::ErrorKind::InvalidData)?;
    source.read_exact(payload)?;
    if byte(source)? == b',' { Ok(len) } else { Err(io::ErrorKind::InvalidData.into()) }
}

fn byte(source: &mut impl BufRead) -> io::Result<u8> {
    let byte = *source.fill_buf()?.first().ok_or(io::ErrorKind::UnexpectedEof)?;
    source.consume(1);
    Ok(byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let mut wire = Vec::new();
        for payload in [&b""[..], b"{}", &[b'x'; 143]] {
            wire.clear();
            write(&mut wire, &mut Vec::new(), payload).unwrap();
            let mut out = [0; 200];
            let len = read(&mut wire.as_slice(), &mut out).unwrap();
            assert_eq!(&out[..len], payload);
        }
        assert_eq!(wire.len(), 148);
    }

    #[test]
    fn what_is_no_netstring_is_refused() {
        for wire in [&b"02:ab,"[..], b":,", b"2:abc", b"2:ab;", b"x", b"", b"99999999999:a,"] {
            assert!(read(&mut &*wire, &mut [0; 200]).is_err());
        }
    }
}

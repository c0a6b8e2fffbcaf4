//! What [`Access::Direct`](crate::Access::Direct) asks of every call, whoever serves it.

use std::io;

/// Checks offset, length and address of a direct transfer.
pub(crate) fn check(alignment: u32, offset: u64, bytes: &[u8]) -> io::Result<()> {
    let unit = u64::from(alignment.max(1));
    let aligned = |number: u64| number.is_multiple_of(unit);
    if aligned(offset) && aligned(bytes.len() as u64) && aligned(bytes.as_ptr().addr() as u64) {
        return Ok(());
    }
    Err(io::Error::new(
        io::ErrorKind::InvalidInput,
        format!(
            "direct IO of {} bytes at {offset}: offset, length and address must be multiples of {unit}",
            bytes.len()
        ),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::AlignedBuf;

    #[test]
    fn offset_length_and_address_must_all_be_aligned() {
        let page = AlignedBuf::zeroed(8_192);
        check(4_096, 4_096, page.as_slice()).unwrap();
        assert!(check(4_096, 512, page.as_slice()).is_err(), "offset");
        assert!(
            check(4_096, 0, &page.as_slice()[..4_095]).is_err(),
            "length"
        );
        assert!(
            check(4_096, 0, &page.as_slice()[1..4_097]).is_err(),
            "address"
        );
    }
}

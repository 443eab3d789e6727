//! Numbers as people read them.

/// Three digits that count, with thousands and millions named.
pub(super) fn short(value: f64) -> String {
    let size = value.abs();
    match size {
        _ if size >= 999_500.0 => format!("{} M", digits(value / 1e6)),
        _ if size >= 9_995.0 => format!("{} k", digits(value / 1e3)),
        _ => digits(value),
    }
}

fn digits(value: f64) -> String {
    let size = value.abs();
    if size >= 99.95 || (size - size.round()).abs() < 1e-9 {
        format!("{value:.0}")
    } else if size >= 9.995 {
        format!("{value:.1}")
    } else {
        format!("{value:.2}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_digits_count() {
        for (value, text) in [
            (0.0, "0"),
            (0.123, "0.12"),
            (4.0, "4"),
            (9.999, "10.0"),
            (12.34, "12.3"),
            (123.4, "123"),
            (8_765.4, "8765"),
            (12_345.0, "12.3 k"),
            (999_600.0, "1.00 M"),
            (3_100_000.0, "3.10 M"),
        ] {
            assert_eq!(short(value), text);
        }
    }
}

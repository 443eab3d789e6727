//! The dates of certificates (RFC 5280 §4.1.2.5). Of a certificate nothing else is read here: rustls judges the rest.

use std::path::Path;
use std::time::Duration;

use rustls_pki_types::CertificateDer;
use usher_auth::UnixTime;
use x509_parser::certificate::{Validity as Dates, X509Certificate};
use x509_parser::prelude::FromDer as _;
use x509_parser::time::ASN1Time;

use super::{Finding, Severity};

/// How long before its end a certificate expires soon; a third of its life if that is shorter.
const SOON: Duration = Duration::from_hours(14 * 24);
const KEY: &str = "server.tls";

/// From when until when a certificate is valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Validity {
    from: UnixTime,
    until: UnixTime,
}

/// What the dates of a chain mean at `now`. `path` is the file it is in.
pub(super) fn look_at(chain: &[CertificateDer<'_>], path: &Path, now: UnixTime) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (index, certificate) in chain.iter().enumerate() {
        let name = match index {
            0 => format!("the certificate in {}", path.display()),
            other => format!("certificate {} in {}", other + 1, path.display()),
        };
        let Some(Validity { from, until }) = validity(certificate) else {
            let text = format!("the dates of {name} cannot be read");
            findings.push(Finding { severity: Severity::Wrong, key: KEY, text });
            continue;
        };
        let left = until.since(now);
        let (severity, text) = if now > until {
            (Severity::Wrong, format!("{name} expired at {}: clients refuse it; renew it", shown(until)))
        } else if now < from {
            let text = format!("{name} is not valid before {}: clients refuse it; is the clock right?", shown(from));
            (Severity::Wrong, text)
        } else if left < SOON.min(until.since(from) / 3) {
            let days = left.as_secs() / (24 * 3600);
            (Severity::Warning, format!("{name} expires at {}, in {days} days: renew it", shown(until)))
        } else {
            continue;
        };
        findings.push(Finding { severity, key: KEY, text });
    }
    findings
}

fn shown(at: UnixTime) -> String {
    jiff::Timestamp::from_second(at.as_seconds()).map_or_else(|_| at.as_seconds().to_string(), |time| time.to_string())
}

fn validity(certificate: &[u8]) -> Option<Validity> {
    let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
    let Dates { not_before, not_after } = parsed.validity();
    let moment = |time: &ASN1Time| UnixTime::from_seconds(time.timestamp());
    Some(Validity { from: moment(not_before), until: moment(not_after) })
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, date_time_ymd};

    use super::*;

    fn certificate(from: (i32, u8, u8), until: (i32, u8, u8)) -> CertificateDer<'static> {
        let mut params = CertificateParams::new(vec!["chat.example.com".to_owned()]).expect("a name");
        params.not_before = date_time_ymd(from.0, from.1, from.2);
        params.not_after = date_time_ymd(until.0, until.1, until.2);
        let key = KeyPair::generate().expect("a key");
        params.self_signed(&key).expect("a certificate").der().clone()
    }

    fn at(date: &str) -> UnixTime {
        let time: jiff::Timestamp = format!("{date}T00:00:00Z").parse().expect("a date");
        UnixTime::from_seconds(time.as_second())
    }

    #[test]
    fn dates_are_read() {
        let read = validity(&certificate((2026, 1, 2), (2027, 3, 4))).expect("readable");
        assert_eq!((read.from, read.until), (at("2026-01-02"), at("2027-03-04")));
        // After 2049 they are written in another form (RFC 5280 §4.1.2.5).
        let read = validity(&certificate((1975, 1, 1), (2050, 1, 1))).expect("readable");
        assert_eq!((read.from, read.until), (at("1975-01-01"), at("2050-01-01")));
    }

    #[test]
    fn what_is_no_certificate_is_not_read() {
        let good = certificate((2026, 1, 2), (2027, 3, 4));
        for length in 0..good.len().min(200) {
            assert_eq!(validity(&good[..length]), None, "{length}");
        }
        for bytes in
            [&[][..], &[0x30, 0x80], &[0x30, 0x85, 1, 1, 1, 1, 1], &[0x30, 0x84, 0xff, 0xff, 0xff, 0xff], b"PEM"]
        {
            assert_eq!(validity(bytes), None);
        }
    }

    #[test]
    fn what_dates_mean() {
        let chain = [certificate((2026, 1, 1), (2026, 12, 31))];
        let found = |now: &str| {
            let findings = look_at(&chain, Path::new("cert.pem"), at(now));
            findings.into_iter().map(|finding| (finding.severity, finding.text)).next()
        };
        assert_eq!(found("2026-06-01"), None);
        let (severity, text) = found("2027-01-02").expect("expired");
        assert_eq!(severity, Severity::Wrong);
        assert_eq!(text, "the certificate in cert.pem expired at 2026-12-31T00:00:00Z: clients refuse it; renew it");
        let (severity, text) = found("2025-12-31").expect("not yet valid");
        assert!(severity == Severity::Wrong && text.contains("not valid before 2026-01-01T00:00:00Z"), "{text}");
        let (severity, text) = found("2026-12-21").expect("soon");
        assert!(severity == Severity::Warning && text.contains("in 10 days"), "{text}");
        // One of six days is renewed each few days.
        let short = [certificate((2026, 1, 1), (2026, 1, 7))];
        assert_eq!(look_at(&short, Path::new("cert.pem"), at("2026-01-03")), []);
        assert_eq!(look_at(&short, Path::new("cert.pem"), at("2026-01-06")).len(), 1);
        let both = [chain[0].clone(), short[0].clone()];
        assert!(
            look_at(&both, Path::new("cert.pem"), at("2026-06-01"))[0]
                .text
                .starts_with("certificate 2 in cert.pem expired")
        );
    }
}

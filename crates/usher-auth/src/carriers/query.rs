//! Credentials in the URL: `?token=…` (or `?access_token=…`, RFC 6750 §2.3) and `?ticket=…`.

use url::form_urlencoded;

use super::{Credential, repeated};
use crate::refusal::Refusal;
use crate::secret::{PlainToken, TokenKind};

/// Parameters that hold a token.
const TOKEN_PARAMETERS: [&str; 2] = ["token", "access_token"];
/// The parameter that holds a ticket.
const TICKET_PARAMETERS: [&str; 1] = ["ticket"];

/// The lasting credential in the query: a JWT or an API key.
pub(super) fn token(query: Option<&str>) -> Result<Option<Credential>, Refusal> {
    Ok(only(query, &TOKEN_PARAMETERS)?.map(|text| Credential::classify_lasting(&text)))
}

/// The ticket in the query.
pub(super) fn ticket(query: Option<&str>) -> Result<Option<Credential>, Refusal> {
    Ok(only(query, &TICKET_PARAMETERS)?
        .map(|text| PlainToken::parse(TokenKind::Ticket, &text).map_or(Credential::Unrecognised, Credential::Ticket)))
}

/// The value of the one parameter of these names; an empty value counts as presented.
fn only(query: Option<&str>, names: &[&str]) -> Result<Option<String>, Refusal> {
    let mut values = form_urlencoded::parse(query.unwrap_or_default().as_bytes())
        .filter(|(name, _)| names.contains(&name.as_ref()))
        .map(|(_, value)| value.into_owned());
    match (values.next(), values.next()) {
        (_, Some(_)) => Err(repeated("the query carries a credential twice")),
        (value, None) => Ok(value),
    }
}

//! An issuer's certificate must be one that this machine trusts.

use std::sync::Arc;

use rustls::pki_types::PrivateKeyDer;
use rustls::{AlertDescription, ServerConfig};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use usher_axum::{KeyFetchLimits, KeySource};

use crate::world::{IssuerKey, World};

#[tokio::test]
async fn a_certificate_that_nobody_vouches_for_is_refused() {
    // req G4, M7
    let certificate = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(certificate.signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.cert.der().clone()], key)
        .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let handshake = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        TlsAcceptor::from(Arc::new(config)).accept(stream).await.map(drop)
    });

    let source = KeySource::JwksUrl(format!("https://localhost:{port}/jwks").parse().unwrap());
    let world = World::new(KeyFetchLimits::default(), |_| source).await;
    assert!(!world.admits(&IssuerKey::new("a")).await);
    let error = handshake.await.unwrap().unwrap_err();
    let reason = error.get_ref().and_then(|error| error.downcast_ref::<rustls::Error>());
    assert_eq!(reason, Some(&rustls::Error::AlertReceived(AlertDescription::UnknownCA)));
}

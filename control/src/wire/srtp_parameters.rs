//! SRTP suites and keys. Keys never appear in error texts.

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use flatbuffers::WIPOffset;
use ringsoup_fbs::fbs::srtp_parameters as wire;
use ringsoup_rtc::srtp::CryptoSuite;
use ringsoup_sfu::command::{CommandError, SrtpParameters};

use super::{Builder, unknown_number};

/// Written padded, read with or without, as the original does.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

pub(super) fn decode(parameters: wire::SrtpParameters<'_>) -> Result<SrtpParameters, CommandError> {
    let key_and_salt = BASE64
        .decode(parameters.key_base64())
        .map_err(|_| CommandError::type_error("invalid srtpParameters (keyBase64 is not base64)"))?;
    Ok(SrtpParameters { crypto_suite: decode_suite(parameters.crypto_suite())?, key_and_salt })
}

pub(super) fn decode_suite(suite: wire::SrtpCryptoSuite) -> Result<CryptoSuite, CommandError> {
    Ok(match suite {
        wire::SrtpCryptoSuite::AEAD_AES_256_GCM => CryptoSuite::AeadAes256Gcm,
        wire::SrtpCryptoSuite::AEAD_AES_128_GCM => CryptoSuite::AeadAes128Gcm,
        wire::SrtpCryptoSuite::AES_CM_128_HMAC_SHA1_80 => CryptoSuite::AesCm128HmacSha1_80,
        wire::SrtpCryptoSuite::AES_CM_128_HMAC_SHA1_32 => CryptoSuite::AesCm128HmacSha1_32,
        wire::SrtpCryptoSuite(number) => return Err(unknown_number("SRTP crypto suite", number)),
    })
}

pub(super) fn encode(
    builder: &mut Builder,
    parameters: &SrtpParameters,
) -> WIPOffset<wire::SrtpParameters<'static>> {
    let key_base64 = builder.create_string(&BASE64.encode(&parameters.key_and_salt));
    let crypto_suite = match parameters.crypto_suite {
        CryptoSuite::AeadAes256Gcm => wire::SrtpCryptoSuite::AEAD_AES_256_GCM,
        CryptoSuite::AeadAes128Gcm => wire::SrtpCryptoSuite::AEAD_AES_128_GCM,
        CryptoSuite::AesCm128HmacSha1_80 => wire::SrtpCryptoSuite::AES_CM_128_HMAC_SHA1_80,
        CryptoSuite::AesCm128HmacSha1_32 => wire::SrtpCryptoSuite::AES_CM_128_HMAC_SHA1_32,
    };
    let args = wire::SrtpParametersArgs { crypto_suite, key_base64: Some(key_base64) };
    wire::SrtpParameters::create(builder, &args)
}

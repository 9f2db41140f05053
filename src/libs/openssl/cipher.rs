//! AES by OpenSSL's names.
//!
//! What goes in is gathered and comes out at the end. Must not: know Lua.

use aes::cipher::block_padding::{NoPadding, Pkcs7};
use aes::cipher::{
    BlockModeDecrypt as _, BlockModeEncrypt as _, KeyInit as _, KeyIvInit as _, StreamCipher as _,
};
use aes::{Aes128, Aes192, Aes256};
use aes_gcm::aead::AeadInOut as _;
use aes_gcm::{AesGcm, Nonce, Tag};

/// GCM's tag may be cut off (what `get_aead_tag` gives of a 128-bit key has 8 bytes), down to this (NIST SP 800-38D).
const SHORTEST_TAG: usize = 4;

/// How blocks follow each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    Cbc,
    Ecb,
    Ctr,
    Gcm,
}

/// A cipher: a mode and the key's bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cipher {
    pub mode: Mode,
    pub key_size: usize,
}

/// What came out.
pub struct Outcome {
    pub data: Vec<u8>,
    /// GCM's tag over it.
    pub tag: Option<Vec<u8>>,
}

/// Why nothing came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CipherError {
    #[error("bad decrypt")]
    BadDecrypt,
    #[error("wrong final block length")]
    Length,
    #[error("invalid key or iv")]
    Key,
}

impl Cipher {
    /// The cipher called `name`.
    pub fn by_name(name: &str) -> Option<Self> {
        let name = name.to_ascii_lowercase();
        let (bits, mode) = match name.strip_prefix("aes-") {
            Some(rest) => rest.split_once('-')?,
            None => match name.strip_prefix("id-aes") {
                Some(rest) => rest.split_once('-')?,
                // `aes256` is CBC
                None => (name.strip_prefix("aes")?, "cbc"),
            },
        };
        let mode = match mode {
            "cbc" => Mode::Cbc,
            "ecb" => Mode::Ecb,
            "ctr" => Mode::Ctr,
            "gcm" => Mode::Gcm,
            _ => return None,
        };
        let key_size = match bits {
            "128" => 16,
            "192" => 24,
            "256" => 32,
            _ => return None,
        };
        Some(Self { mode, key_size })
    }

    /// The bytes of an initialization vector.
    pub fn iv_size(self) -> usize {
        match self.mode {
            Mode::Cbc | Mode::Ctr => 16,
            Mode::Ecb => 0,
            Mode::Gcm => 12,
        }
    }

    /// The bytes of a block, as OpenSSL counts them.
    pub fn block_size(self) -> usize {
        match self.mode {
            Mode::Cbc | Mode::Ecb => 16,
            Mode::Ctr | Mode::Gcm => 1,
        }
    }

    /// Runs the cipher over `data`. `tag` is GCM's, for decryption.
    ///
    /// # Errors
    /// When the data is not what this key and these settings made.
    pub fn run(self, job: &Job) -> Result<Outcome, CipherError> {
        match self.key_size {
            16 => run::<Aes128>(self.mode, job),
            24 => run::<Aes192>(self.mode, job),
            _ => run::<Aes256>(self.mode, job),
        }
    }
}

/// What a cipher is given.
#[derive(Clone, Copy)]
pub struct Job<'a> {
    pub encrypt: bool,
    pub padded: bool,
    pub key: &'a [u8],
    pub iv: &'a [u8],
    pub aad: &'a [u8],
    pub tag: Option<&'a [u8]>,
    pub data: &'a [u8],
}

/// What all three key sizes of AES are.
trait Aes:
    aes::cipher::BlockCipherEncrypt
    + aes::cipher::BlockCipherDecrypt
    + aes::cipher::BlockSizeUser<BlockSize = aes::cipher::consts::U16>
    + aes::cipher::KeyInit
{
}
impl Aes for Aes128 {}
impl Aes for Aes192 {}
impl Aes for Aes256 {}

fn run<C: Aes>(mode: Mode, job: &Job) -> Result<Outcome, CipherError> {
    let bad = |_| CipherError::Key;
    let (key, iv) = (job.key, job.iv);
    let data = match (mode, job.encrypt) {
        (Mode::Cbc, true) => {
            let c = cbc::Encryptor::<C>::new_from_slices(key, iv).map_err(bad)?;
            if job.padded {
                c.encrypt_padded_vec::<Pkcs7>(job.data)
            } else {
                whole_blocks(job.data)?;
                c.encrypt_padded_vec::<NoPadding>(job.data)
            }
        }
        (Mode::Cbc, false) => {
            let c = cbc::Decryptor::<C>::new_from_slices(key, iv).map_err(bad)?;
            whole_blocks(job.data)?;
            let done = match job.padded {
                true => c.decrypt_padded_vec::<Pkcs7>(job.data),
                false => c.decrypt_padded_vec::<NoPadding>(job.data),
            };
            done.map_err(|_| CipherError::BadDecrypt)?
        }
        (Mode::Ecb, _) => ecb::<C>(job)?,
        (Mode::Ctr, _) => {
            let mut c = ctr::Ctr128BE::<C>::new_from_slices(key, iv).map_err(bad)?;
            let mut data = job.data.to_vec();
            c.apply_keystream(&mut data);
            data
        }
        (Mode::Gcm, _) => return gcm::<C>(job),
    };
    Ok(Outcome { data, tag: None })
}

fn whole_blocks(data: &[u8]) -> Result<(), CipherError> {
    match data.len() % 16 {
        0 => Ok(()),
        _ => Err(CipherError::Length),
    }
}

/// ECB, block by block.
fn ecb<C: Aes>(job: &Job) -> Result<Vec<u8>, CipherError> {
    let c = C::new_from_slice(job.key).map_err(|_| CipherError::Key)?;
    let mut data = job.data.to_vec();
    if job.encrypt && job.padded {
        let n = 16 - data.len() % 16;
        data.resize(data.len() + n, n as u8);
    }
    whole_blocks(&data)?;
    for block in data.chunks_exact_mut(16) {
        let block = aes::cipher::Block::<C>::try_from(&*block)
            .map(|mut b| {
                match job.encrypt {
                    true => c.encrypt_block(&mut b),
                    false => c.decrypt_block(&mut b),
                }
                (b, block)
            })
            .map_err(|_| CipherError::Length)?;
        block.1.copy_from_slice(&block.0);
    }
    if !job.encrypt && job.padded {
        let n = usize::from(*data.last().ok_or(CipherError::Length)?);
        let good = (1..=16).contains(&n) && data[data.len() - n..].iter().all(|b| usize::from(*b) == n);
        if !good {
            return Err(CipherError::BadDecrypt);
        }
        data.truncate(data.len() - n);
    }
    Ok(data)
}

fn gcm<C: Aes>(job: &Job) -> Result<Outcome, CipherError> {
    let c = AesGcm::<C, aes::cipher::consts::U12>::new_from_slice(job.key).map_err(|_| CipherError::Key)?;
    let nonce = Nonce::try_from(job.iv).map_err(|_| CipherError::Key)?;
    let mut data = job.data.to_vec();
    if job.encrypt {
        let tag = c
            .encrypt_inout_detached(&nonce, job.aad, data.as_mut_slice().into())
            .map_err(|_| CipherError::Length)?;
        return Ok(Outcome {
            data,
            tag: Some(tag.to_vec()),
        });
    }
    let given = job.tag.unwrap_or_default();
    if (SHORTEST_TAG..16).contains(&given.len()) {
        // the key stream turns text and cipher text into each other; encrypting again gives the whole tag
        let bad = |_| CipherError::BadDecrypt;
        c.encrypt_inout_detached(&nonce, job.aad, data.as_mut_slice().into())
            .map_err(bad)?;
        let mut again = data.clone();
        let tag = c
            .encrypt_inout_detached(&nonce, job.aad, again.as_mut_slice().into())
            .map_err(bad)?;
        let differ = tag.iter().zip(given).fold(0, |d, (a, b)| d | (a ^ b));
        return match differ {
            0 => Ok(Outcome { data, tag: None }),
            _ => Err(CipherError::BadDecrypt),
        };
    }
    let tag = Tag::try_from(given).map_err(|_| CipherError::BadDecrypt)?;
    c.decrypt_inout_detached(&nonce, job.aad, data.as_mut_slice().into(), &tag)
        .map_err(|_| CipherError::BadDecrypt)?;
    Ok(Outcome { data, tag: None })
}

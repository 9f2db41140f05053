//! AES by OpenSSL's names: its modes, and its wrapping of keys (RFC 3394, RFC 5649).
//!
//! Must not: know Lua.

use aes::cipher::consts::U12;
use aes::cipher::{
    Block, BlockModeDecrypt, BlockModeEncrypt, KeyInit as _, KeyIvInit as _, StreamCipher as _,
};
use aes::{Aes128, Aes192, Aes256};
use aes_gcm::aead::AeadInOut as _;
use aes_gcm::{AesGcm, Nonce, Tag};
use aes_kw::{AesKw, AesKwp};

/// GCM's tag may be cut off (what `get_aead_tag` gives of a 128-bit key has 8 bytes), down to this (NIST SP 800-38D).
const SHORTEST_TAG: usize = 4;

const BLOCK: usize = 16;

/// How blocks follow each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    Cbc,
    Ecb,
    Ctr,
    Gcm,
    /// A key under another key, in whole half-blocks.
    Wrap,
    /// A key of any length under another.
    WrapPad,
}

/// A cipher: a mode and the key's bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cipher {
    pub mode: Mode,
    pub key_size: usize,
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
    #[error("not supported: key wrap with an initial value of one's own")]
    InitialValue,
}

type Result<T> = std::result::Result<T, CipherError>;

impl Cipher {
    /// The cipher called `name`.
    pub fn by_name(name: &str) -> Option<Self> {
        let name = name.to_ascii_lowercase();
        let (bits, mode) = match name.strip_prefix("aes-") {
            Some(rest) => rest.split_once('-')?,
            None => match name.strip_prefix("id-aes").or(name.strip_prefix("aes")) {
                // `aes256` is CBC
                Some(rest) => rest.split_once('-').unwrap_or((rest, "cbc")),
                None => return None,
            },
        };
        let mode = match mode {
            "cbc" => Mode::Cbc,
            "ecb" => Mode::Ecb,
            "ctr" => Mode::Ctr,
            "gcm" => Mode::Gcm,
            "wrap" => Mode::Wrap,
            "wrap-pad" => Mode::WrapPad,
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
            Mode::Cbc | Mode::Ctr => BLOCK,
            Mode::Ecb => 0,
            Mode::Gcm => 12,
            Mode::Wrap => 8,
            Mode::WrapPad => 4,
        }
    }

    /// The bytes of a block, as OpenSSL counts them.
    pub fn block_size(self) -> usize {
        match self.mode {
            Mode::Cbc | Mode::Ecb => BLOCK,
            Mode::Ctr | Mode::Gcm => 1,
            Mode::Wrap | Mode::WrapPad => 8,
        }
    }

    /// Begins.
    ///
    /// # Errors
    /// When key or vector have another length.
    pub fn start(self, setup: &Setup) -> Result<Running> {
        match self.key_size {
            16 => start::<Aes128>(self, setup),
            24 => start::<Aes192>(self, setup),
            _ => start::<Aes256>(self, setup),
        }
    }
}

/// What a cipher begins with.
#[derive(Clone, Copy)]
pub struct Setup<'a> {
    pub encrypt: bool,
    pub padded: bool,
    pub key: &'a [u8],
    pub iv: &'a [u8],
}

/// What becomes of blocks, or of a stream's bytes, in their place.
type Blocks = Box<dyn FnMut(&mut [u8])>;
/// What becomes of a whole text: of GCM's with the tag to check, and with the tag made.
type Whole = Box<dyn Fn(&Sealing, &[u8]) -> Result<(Vec<u8>, Option<Vec<u8>>)>>;

/// What GCM also takes.
#[derive(Default)]
struct Sealing {
    aad: Vec<u8>,
    tag: Vec<u8>,
}

/// A cipher under way.
pub struct Running {
    mode: Mode,
    encrypt: bool,
    /// Whether what ends within a block is padded.
    pub padded: bool,
    blocks: Option<Blocks>,
    whole: Option<Whole>,
    sealing: Sealing,
    /// What waits for the rest of its block; of GCM all that was taken in.
    waiting: Vec<u8>,
    /// The tag that GCM made.
    pub made: Option<Vec<u8>>,
}

impl Running {
    /// Takes in what is authenticated but not encrypted.
    pub fn authenticate(&mut self, bytes: &[u8]) {
        self.sealing.aad.extend_from_slice(bytes);
    }

    /// Sets the tag that is to be found.
    pub fn set_tag(&mut self, tag: &[u8]) {
        self.sealing.tag = tag.to_vec();
    }

    /// Takes in `data`: what comes out so far.
    ///
    /// # Errors
    /// When a key cannot be wrapped or unwrapped.
    pub fn update(&mut self, data: &[u8]) -> Result<Vec<u8>> {
        let mut out = match self.mode {
            Mode::Wrap | Mode::WrapPad => match &self.whole {
                Some(wrap) => return Ok(wrap(&self.sealing, data)?.0),
                None => return Err(CipherError::Key),
            },
            Mode::Ctr => data.to_vec(),
            Mode::Gcm => {
                self.waiting.extend_from_slice(data);
                data.to_vec()
            }
            Mode::Cbc | Mode::Ecb => {
                self.waiting.extend_from_slice(data);
                let mut n = self.waiting.len() / BLOCK * BLOCK;
                // the last block of what is deciphered has the padding
                if !self.encrypt && self.padded && n == self.waiting.len() {
                    n = n.saturating_sub(BLOCK);
                }
                self.waiting.drain(..n).collect()
            }
        };
        if let Some(blocks) = &mut self.blocks {
            blocks(&mut out);
        }
        Ok(out)
    }

    /// Ends: what still comes out.
    ///
    /// # Errors
    /// When the data is not what this key and these settings made.
    pub fn finish(&mut self) -> Result<Vec<u8>> {
        let mut last = std::mem::take(&mut self.waiting);
        match self.mode {
            Mode::Wrap | Mode::WrapPad | Mode::Ctr => return Ok(Vec::new()),
            Mode::Gcm => {
                if let Some(whole) = &self.whole {
                    self.made = whole(&self.sealing, &last)?.1;
                }
                return Ok(Vec::new());
            }
            Mode::Cbc | Mode::Ecb => {}
        }
        if self.encrypt && self.padded {
            let n = BLOCK - last.len() % BLOCK;
            last.resize(last.len() + n, n as u8);
        }
        let expected = if self.padded { BLOCK } else { 0 };
        if last.len() != expected {
            self.waiting = last;
            return Err(CipherError::Length);
        }
        if let Some(blocks) = &mut self.blocks {
            blocks(&mut last);
        }
        if self.padded && !self.encrypt {
            let n = last.last().map_or(0, |b| usize::from(*b));
            let good = (1..=BLOCK).contains(&n) && last[BLOCK - n..].iter().all(|b| usize::from(*b) == n);
            if !good {
                return Err(CipherError::BadDecrypt);
            }
            last.truncate(BLOCK - n);
        }
        Ok(last)
    }

    /// The whole of `data` at once.
    ///
    /// # Errors
    /// As [`Self::update`] and [`Self::finish`].
    pub fn run(&mut self, data: &[u8]) -> Result<Vec<u8>> {
        if self.mode == Mode::Gcm
            && self.waiting.is_empty()
            && let Some(whole) = &self.whole
        {
            let (out, tag) = whole(&self.sealing, data)?;
            self.made = tag;
            return Ok(out);
        }
        let mut out = self.update(data)?;
        out.extend(self.finish()?);
        Ok(out)
    }
}

/// What all three key sizes of AES are.
trait Aes:
    aes::cipher::BlockCipherEncrypt
    + aes::cipher::BlockCipherDecrypt
    + aes::cipher::BlockSizeUser<BlockSize = aes::cipher::consts::U16>
    + aes::cipher::KeyInit
    + 'static
{
}
impl Aes for Aes128 {}
impl Aes for Aes192 {}
impl Aes for Aes256 {}

fn start<C: Aes>(cipher: Cipher, setup: &Setup) -> Result<Running> {
    let bad = |_| CipherError::Key;
    let (key, iv, encrypt) = (setup.key, setup.iv, setup.encrypt);
    let mut blocks: Option<Blocks> = None;
    let mut whole: Option<Whole> = None;
    match cipher.mode {
        Mode::Cbc if encrypt => {
            let mut c = cbc::Encryptor::<C>::new_from_slices(key, iv).map_err(bad)?;
            blocks = Some(each_block::<C>(move |block| c.encrypt_block(block)));
        }
        Mode::Cbc => {
            let mut c = cbc::Decryptor::<C>::new_from_slices(key, iv).map_err(bad)?;
            blocks = Some(each_block::<C>(move |block| c.decrypt_block(block)));
        }
        Mode::Ecb => {
            let c = C::new_from_slice(key).map_err(bad)?;
            blocks = Some(match encrypt {
                true => each_block::<C>(move |block| c.encrypt_block(block)),
                false => each_block::<C>(move |block| c.decrypt_block(block)),
            });
        }
        Mode::Ctr => {
            let mut c = ctr::Ctr128BE::<C>::new_from_slices(key, iv).map_err(bad)?;
            blocks = Some(Box::new(move |data| c.apply_keystream(data)));
        }
        Mode::Gcm => {
            // the text's key stream is that of a counter of 32 bits, the first value of which belongs to the tag
            let first = [iv, &[0, 0, 0, 2]].concat();
            let mut c = ctr::Ctr32BE::<C>::new_from_slices(key, &first).map_err(bad)?;
            blocks = Some(Box::new(move |data| c.apply_keystream(data)));
            let c = AesGcm::<C, U12>::new_from_slice(key).map_err(bad)?;
            let nonce = Nonce::try_from(iv).map_err(|_| CipherError::Key)?;
            whole = Some(Box::new(move |with, data| gcm(&c, &nonce, encrypt, with, data)));
        }
        Mode::Wrap | Mode::WrapPad => {
            let standard: &[u8] = match cipher.mode {
                Mode::Wrap => &[0xa6; 8],
                _ => &[0xa6, 0x59, 0x59, 0xa6],
            };
            if iv != standard {
                return Err(CipherError::InitialValue);
            }
            let padded = cipher.mode == Mode::WrapPad;
            let (plain, pad) = (AesKw::<C>::new_from_slice(key), AesKwp::<C>::new_from_slice(key));
            let (plain, pad) = (plain.map_err(bad)?, pad.map_err(bad)?);
            whole = Some(Box::new(move |_, data| {
                let mut room = vec![0; data.len().next_multiple_of(8) + 16];
                let out = match (encrypt, padded) {
                    // OpenSSL's limits
                    (true, false) if data.len() < 16 => return Err(CipherError::Length),
                    (false, false) if data.len() < 24 => return Err(CipherError::Length),
                    (false, true) if data.len() < 16 => return Err(CipherError::Length),
                    (true, true) if data.is_empty() => return Err(CipherError::Length),
                    (true, false) => plain.wrap_key(data, &mut room),
                    (false, false) => plain.unwrap_key(data, &mut room),
                    (true, true) => pad.wrap_key(data, &mut room),
                    (false, true) => pad.unwrap_key(data, &mut room),
                };
                let out = out.map_err(|_| CipherError::BadDecrypt)?.to_vec();
                Ok((out, None))
            }));
        }
    }
    Ok(Running {
        mode: cipher.mode,
        encrypt,
        padded: setup.padded,
        blocks,
        whole,
        sealing: Sealing::default(),
        waiting: Vec::new(),
        made: None,
    })
}

fn each_block<C: Aes>(mut f: impl FnMut(&mut Block<C>) + 'static) -> Blocks {
    Box::new(move |data| {
        for bytes in data.chunks_exact_mut(BLOCK) {
            if let Ok(block) = <&mut Block<C>>::try_from(bytes) {
                f(block);
            }
        }
    })
}

fn gcm<C: Aes>(
    c: &AesGcm<C, U12>,
    nonce: &Nonce<U12>,
    encrypt: bool,
    with: &Sealing,
    data: &[u8],
) -> Result<(Vec<u8>, Option<Vec<u8>>)> {
    let mut data = data.to_vec();
    if encrypt {
        let tag = c
            .encrypt_inout_detached(nonce, &with.aad, data.as_mut_slice().into())
            .map_err(|_| CipherError::Length)?;
        return Ok((data, Some(tag.to_vec())));
    }
    let bad = |_| CipherError::BadDecrypt;
    let given = with.tag.as_slice();
    if (SHORTEST_TAG..16).contains(&given.len()) {
        // the key stream turns text and cipher text into each other; encrypting again gives the whole tag
        c.encrypt_inout_detached(nonce, &with.aad, data.as_mut_slice().into())
            .map_err(bad)?;
        let mut again = data.clone();
        let tag = c
            .encrypt_inout_detached(nonce, &with.aad, again.as_mut_slice().into())
            .map_err(bad)?;
        let differ = tag.iter().zip(given).fold(0, |d, (a, b)| d | (a ^ b));
        return match differ {
            0 => Ok((data, None)),
            _ => Err(CipherError::BadDecrypt),
        };
    }
    let tag = Tag::try_from(given).map_err(|_| CipherError::BadDecrypt)?;
    c.decrypt_inout_detached(nonce, &with.aad, data.as_mut_slice().into(), &tag)
        .map_err(bad)?;
    Ok((data, None))
}

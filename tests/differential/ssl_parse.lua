-- request: GET /ssl
-- Certificates and keys, whole, cut and changed. These are for this test only.
local ssl = require "ngx.ssl"

local cert = [[
-----BEGIN CERTIFICATE-----
MIIBpjCCAUygAwIBAgIUV36Bylg5Q/TuwfwFXkJmehsxiGkwCgYIKoZIzj0EAwIw
HjELMAkGA1UEBhMCVVMxDzANBgNVBAMMBmEudGVzdDAgFw0yNjExMjUyMjU4MDha
GA8yMTI2MTEwMTIyNTgwOFowHjELMAkGA1UEBhMCVVMxDzANBgNVBAMMBmEudGVz
dDBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABDfJNqJVCDMjmqp6qDtMoS2QV1z3
3GcKbSJn8XICjJPtjsutypvuyAHadkwIic+ahD0tyNd4pdKqrzz86FcoS6OjZjBk
MB0GA1UdDgQWBBQ1Pa+3rkHe8uBK6MsO6BSFBIWYrDAfBgNVHSMEGDAWgBQ1Pa+3
rkHe8uBK6MsO6BSFBIWYrDAPBgNVHRMBAf8EBTADAQH/MBEGA1UdEQQKMAiCBmEu
dGVzdDAKBggqhkjOPQQDAgNIADBFAiEAv/EEmWskBqNtOPujGtJ8vNfyR7gHnhFU
7GQWTtrFmPoCIEzIq7Mv2/hIb8mvDuQ5cHRvtzYaSe4ESfAshW+Z8pMf
-----END CERTIFICATE-----
]]
local keys = {
  [[
-----BEGIN EC PRIVATE KEY-----
MHcCAQEEINiwAS/xYZ+hBl94zOrVLWuXP1ZOT7p9YqZjCrF8yVzWoAoGCCqGSM49
AwEHoUQDQgAEN8k2olUIMyOaqnqoO0yhLZBXXPfcZwptImfxcgKMk+2Oy63Km+7I
Adp2TAiJz5qEPS3I13il0qqvPPzoVyhLow==
-----END EC PRIVATE KEY-----
]], [[
-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgBrohScpx30M+Sh3N
e1btw8Rex7fiI04bUk7e4Pk+pG2hRANCAATxceH6dCgSE9bLkc5R+65aUi/Q32te
imlO4Sqd8M3GcjakqO/waAB/MzSh51qQPW7cjdu+VFDIMua8JPHlGps7
-----END PRIVATE KEY-----
]], [[
-----BEGIN EC PARAMETERS-----
BgUrgQQAIw==
-----END EC PARAMETERS-----
-----BEGIN EC PRIVATE KEY-----
MIHcAgEBBEIA8u/Ki88WP4CroYKeCh7JnpspBov8mPgHQmNw9aMVBM2qdWnnlc+k
02+nYkJKjN5n/CuHwdrD24ajeCU+5KDwRpCgBwYFK4EEACOhgYkDgYYABABuF3hX
gc2GW/V1cA7zKhyT4+C8oLsAVKfwc9+fwK1cD3KFKnVL0pqT+BA4aXUXiBMOcJCt
BGzsEfHKWS8pZ3clpgD/30Yhfg0XDNGB52ohaKEMwagoFnix4Qf5gglnMLzApuOE
O8Nqm+/o054wtH61ExWNDDPoLnDD+H7FIKzL/+6QQQ==
-----END EC PRIVATE KEY-----
]], [[
-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEIPZGuWdqncKIbyrZg2nQn4xJPYHXsxUA1j+pgLnktrIb
-----END PRIVATE KEY-----
]], [[
-----BEGIN RSA PRIVATE KEY-----
MIIEowIBAAKCAQEAxuJcoO5uE+dQYhd6Zq7L5LH8U8vt47jk6szxRqQpxkf4SvkX
FBr52i/3pEiY6uejmNFJQz8QquvVl7nXVraiMqbtr84opjVSBLPbNUkavHp+c7vn
todoNNHxTmDa9uMkKo9FleYRQcKIIG+HvVhju/glOvhjYP4zExnVh/uQzvWaRzhj
JdEgTCRoxhY+XyKEx0X82wHOIz5Votby2NmzqkpuGMcLY6yWSjzpx54/rcgTsEJK
TwFcft3tn27jJJtFsQ4UZ3t/JSYi7dowRgXLdXp/tes2hgydIfndIVzDVUhf8SPe
n0VLDq8DhLEElWzgNrFhSfCVyMDnSA8j6UA7VQIDAQABAoIBABexfOaBMST24Ckn
ceIMveabW5uiBk+kRcVBMBdB1GY2SbqozRqMkipvn3l3WpxVhzRb7nXv6+zo1pPS
RHiknlMZduSEU2xlmsVLpfhFosVEdI8WGicxH3V3c19qg3t5GORnGBuhAnpKkgwH
LW0dvBf3GnxZfgFelzgV0k32Zsx42SFvNJfE1bgscc35U1iarqTyvTwPPSEVH1YS
JWRJiljJoKg4980a2vJKPVrGQttlgga/VbrnorVHFMmGxSSZQ4TsSQiDS96FLjQm
7PGhC55WiVPDsFJY+mNv7WXyKET35BwDU/gDNeio5Ijl4Wb+nnM6B7EDiDXmq3WY
zkef8fECgYEA6gEoY+SHrlhAqe/CUpU1AcSJZuFF7WbQ+1knK6a45HkBBvlaiahq
cZ3Qm3CqexLsFbbKar5KZ3t2c5+/vsyNNzaMKsMeThzH+b1P0zsu/2ZWBYvSWsCU
NHk6HVRYVirbk/9ek8FpY+K8Ty1oaPnLjiWppiEDnjwg39wwMDTCBXkCgYEA2ZQb
C8wzJiTvw2n46862y5GFJmrn7HbGbTeWcyjqq5sQmQQfd+BBb8WdhH1964ljImk7
61yJELCm1tIjbCwrf0htv7YoWx+Urn+sJjvXsNC5PEPvLkzQPiaqLfF13oeOjOTz
xXx8eScJRfa02dAPHcXtfHdEgZfXxlv5183Meb0CgYAwTXzg4dOAEYeHjI44LcR7
UO5r5iRhFNAekhCb2hZgUvn7To15zOHsAf+FloQaU5WYBdtSnWUOZ1XUGC2kXOTp
eMEGMrCWvyooSwOnPpg88ArhqjMJuKbfDgcI9tglMUOSESyco1f13l+wmFbtFGMI
PI4AVOBCUXcXvoPT74/9QQKBgQCc1kbcrThdkZiHKzd0e1CG0wHA3KULbd7A0aYQ
ovjt9Fv1gORSHAPvVuqhm3gONb2RC3xWvyBKOJw7E8TW78v29zWtUNgsP0qEsqFb
+h0TZpFv4KRjopklg+d+MKS/YMWfyFX0EDUFe98SYLCipXiQBKGY67wlElhGsvwY
1E9FnQKBgGNHZSdKGGB+slyEu5pnvT64detWxrcUZ2OmHD1cG5BRNwfJKrAd70QP
LNuqa9UgpDLD8As4xL1Rixu9DCWl03TfYcAyf1PDliTTh7lfG8/F+yfrBC0KBhI7
0FbQmKjlQ3vZiIMCC/tp3OgmQhgRNYMudAtgU2ah4ryn3A+sLVjh
-----END RSA PRIVATE KEY-----
]],
}

-- a text for what a function gave: a cdata's kind, what hash a string has, or why there is neither
local function told(got, err)
  if type(got) == "string" then
    return #got .. " " .. ngx.md5(got)
  elseif got ~= nil then
    return type(got)
  end
  return tostring(err)
end

local function tell(label, f, ...)
  ngx.say(label, ": ", told(f(...)))
end

local function texts(name, text, ...)
  for _, f in ipairs({ ... }) do
    local label = name .. " " .. f .. " "
    f = ssl[f]
    tell(label .. "whole", f, text)
    tell(label .. "twice", f, text .. text)
    tell(label .. "text around", f, "hello\r\n" .. text .. "the end")
    tell(label .. "crlf", f, (text:gsub("\n", "\r\n")))
    tell(label .. "spaces at ends", f, (text:gsub("\n", "  \n")))
    tell(label .. "no newline at the end", f, (text:gsub("\n$", "")))
    tell(label .. "other label", f, (text:gsub("BEGIN", "BEGIN OTHER"):gsub("END", "END OTHER")))
    tell(label .. "other end", f, (text:gsub("END", "END OTHER")))
    tell(label .. "then junk", f, text .. "-----BEGIN CERTIFICATE-----\njunk\n-----END CERTIFICATE-----\n")
    for i = 0, #text - 2, 9 do
      tell(label .. "cut at " .. i, f, text:sub(1, i))
    end
    for i = 30, #text - 30, 31 do
      for _, by in ipairs({ "*", "A", "\n", "-", "" }) do
        tell(label .. i .. " is " .. ("%q"):format(by), f, text:sub(1, i - 1) .. by .. text:sub(i + 1))
      end
    end
  end
end

texts("cert", cert, "parse_pem_cert", "cert_pem_to_der")
for i, key in ipairs(keys) do
  texts("key " .. i, key, "parse_pem_priv_key", "priv_key_pem_to_der")
end

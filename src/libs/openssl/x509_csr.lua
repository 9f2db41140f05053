--- `resty.openssl.x509.csr`: requests for certificates.

local altname = require "resty.openssl.x509.altname"
local extensions = require "resty.openssl.x509.extensions"
local signed = require "moongate.openssl.signed"

local _M = signed("x509.csr", "csr", {
  absent = function(kind)
    return ("X509v3_get_ext_by_NID extension for %d not found"):format(kind.nid)
  end,
  adding = "x509:set_extension",
  mismatch = "X509_REQ_check_private_key:%s",
})
_M.dup = nil

_M._field("version")
_M._field("subject_name", "name")
_M._field("pubkey", "pkey")
_M._list_of("subject_alt_name", "subjectAltName", altname, "x509.altname")

--- All extensions.
function _M:get_extensions()
  return extensions._of(self:_extensions())
end

return _M

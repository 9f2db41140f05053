--- `resty.openssl.x509.crl`: there are no revocation lists here; the module loads for those
--- that only ask `istype`.

local function unsupported()
  error("not supported: resty.openssl.x509.crl", 2)
end

return {
  new = unsupported,
  dup = unsupported,
  istype = function()
    return false
  end,
}

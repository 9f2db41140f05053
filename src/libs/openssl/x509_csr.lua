--- `resty.openssl.x509.csr`: there are no signing requests here; the module loads for those
--- that only ask `istype`.

local function unsupported()
  error("not supported: resty.openssl.x509.csr", 2)
end

return {
  new = unsupported,
  dup = unsupported,
  istype = function()
    return false
  end,
}

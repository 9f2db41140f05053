-- ngx.ocsp.

local ops = require("moongate.ops").ngx_ocsp
local error, type, tostring = error, type, tostring

-- How long a result may be without another limit, as lua-resty-core's buffer is.
local SIZE = 4096

local M = { version = "0.1.31" }

-- What C's `const char *` is made of, or LuaJIT's words about what it is not.
local function bytes(i, name, value, kind)
  if type(value) ~= "string" then
    error(("bad argument #%d to 'ngx_http_lua_ffi_ssl_%s' (cannot convert '%s' to '%s')"):format(i, name, type(value),
      kind), 3)
  end
  return value
end

local CHARS, OCTETS = "const char *", "const unsigned char *"

--- The address at which the issuer of a chain's leaf answers; nil without one.
function M.get_ocsp_responder_from_der_chain(certs, maxlen)
  local found, err = ops.responder(bytes(1, "get_ocsp_responder_from_der_chain", certs, CHARS))
  maxlen = maxlen or SIZE
  if not found then
    return nil, err
  elseif #found > maxlen then
    return found:sub(1, maxlen), "truncated"
  end
  return found
end

--- The question for the status of a chain's leaf.
function M.create_ocsp_request(certs, maxlen)
  local made, err = ops.request(bytes(1, "create_ocsp_request", certs, CHARS))
  maxlen = maxlen or SIZE
  if not made then
    return nil, err
  elseif #made > maxlen then
    return nil, ("output buffer too small: %d > %s"):format(#made, tostring(maxlen))
  end
  return made
end

--- Whether an answer says that a chain's leaf is good; when the next one is due.
function M.validate_ocsp_response(resp, chain, max_errmsg_len)
  local ok, more = ops.check(bytes(1, "validate_ocsp_response", resp, OCTETS),
    bytes(3, "validate_ocsp_response", chain, CHARS))
  if ok then
    return true, more
  end
  return nil, more:sub(1, max_errmsg_len or SIZE)
end

--- Shows clients that ask for the certificate's status this answer.
function M.set_ocsp_status_resp(ocsp_resp)
  return ops.set_status(bytes(2, "set_ocsp_status_resp", ocsp_resp, OCTETS))
end

package.loaded["ngx.ocsp"] = M

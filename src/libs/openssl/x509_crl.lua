--- `resty.openssl.x509.crl`: lists of revoked certificates.

local ops = require("moongate.ops").openssl
local bn = require "resty.openssl.bn"
local list = require "moongate.openssl.list"
local revoked = require "resty.openssl.x509.revoked"
local signed = require "moongate.openssl.signed"

local concat, insert, os_date, type = table.concat, table.insert, os.date, type

local _M, mt = signed("x509.crl", "crl", {})

_M._field("version")
_M._field("last_update")
_M._field("next_update")
_M._field("issuer_name", "name")

local function decoded(serial, date)
  return serial and { serial_number = bn._from_integer(serial):to_hex(), revocation_date = date } or nil
end

local function count(self)
  return ops.crl_revoked(self.ctx.id)
end

-- as a list it has the revoked certificates
for k, v in pairs(list.mt(_M, count, function(self, i)
  return decoded(ops.crl_revoked(self.ctx.id, i))
end)) do
  mt[k] = v
end

--- Adds an entry.
function _M:add_revoked(entry)
  if not revoked.istype(entry) then
    return false, "x509.crl:add_revoked: expect a revoked instance at #1"
  end
  return ops.crl_add(self.ctx.id, entry.ctx.id)
end

--- The entry of a serial number (a bn, or a text in base 16); nil when it is not on the list.
function _M:get_by_serial(sn)
  if type(sn) == "string" then
    local number, err = bn.from_hex(sn)
    if not number then
      return nil, "x509.crl:find: can't decode bn: " .. err
    end
    sn = number
  elseif not bn.istype(sn) then
    return nil, "x509.crl:find: expect a bn instance at #1"
  end
  local serial = sn:_to_integer()
  local date, removed = ops.crl_find(self.ctx.id, serial)
  if removed then
    return nil, "not revoked (removeFromCRL)"
  end
  return date and decoded(serial, date)
end

local function shown(time)
  return time and os_date("!%b %e %H:%M:%S %Y GMT", time) or "NONE"
end

--- The list for people to read.
function _M:text()
  local algorithm, issuer = ops.crl_text(self.ctx.id)
  local version = self:get_version()
  local out = {
    "Certificate Revocation List (CRL):",
    ("        Version %d (0x%x)"):format(version, version - 1),
    "        Signature Algorithm: " .. algorithm,
    "        Issuer: " .. issuer,
    "        Last Update: " .. shown(self:get_last_update()),
    "        Next Update: " .. shown(self:get_next_update()),
  }
  for _, e in ipairs(self:_extensions()) do
    local critical = e:get_critical() and " critical" or ""
    insert(out, ("        %s:%s\n            %s"):format(e:get_object().ln, critical, e:tostring()))
  end
  insert(out, #self > 0 and "Revoked Certificates:" or "No Revoked Certificates.")
  for _, e in self:each() do
    insert(out, "    Serial Number: " .. e.serial_number)
    insert(out, "        Revocation Date: " .. shown(e.revocation_date))
  end
  return concat(out, "\n") .. "\n"
end

return _M

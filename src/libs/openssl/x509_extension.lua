--- `resty.openssl.x509.extension`.

local ops = require("moongate.ops").openssl
local altname = require "resty.openssl.x509.altname"
local object = require "moongate.openssl.object"
local wrap, istype, is_ctx = object.kind()

local setmetatable, type = setmetatable, type

local SUBJECT_ALT_NAME = 85

local _M = { istype = istype }
local mt = { __index = _M }

--- An extension from its number in Rust (nil stays nil).
function _M._from(id)
  return id and setmetatable({ ctx = wrap(id) }, mt)
end

-- the number of a certificate among `data`, or nil; nil and why when it is something else
local function certificate(data, field)
  local v = data[field]
  if v == nil then
    return nil
  elseif not require("resty.openssl.x509").istype(v) then
    return nil, "x509.extension.new: expect data." .. field .. " to be a resty.openssl.x509 instance"
  end
  return v.ctx.id
end

-- a value whose last word is `@section`, with the words of that section of a configuration in its place
local function section(text, value)
  local before, name = value:match("^(.-)@([%w_]+)$")
  if not name then
    return value
  end
  local words, inside, found = {}, false, false
  for line in text:gmatch("[^\r\n]+") do
    line = line:gsub("#.*", "")
    local head = line:match("^%s*%[%s*(.-)%s*%]")
    if head then
      inside = head == name
      found = found or inside
    elseif inside then
      local k, v = line:match("^%s*(.-)%s*=%s*(.-)%s*$")
      if k then
        words[#words + 1] = k .. ":" .. v
      end
    end
  end
  if not found then
    return nil, "error:11000084:X509 V3 routines::section not found"
  end
  return before .. table.concat(words, ",")
end

--- An extension from OpenSSL's configuration words, as `("basicConstraints", "CA:TRUE")`; `data` may have the
--- certificates `subject` and `issuer`.
function _M.new(id, value, data)
  local found, err = object.identifier(id)
  if not found then
    return nil, "x509.extension.new: " .. err
  elseif type(value) ~= "string" then
    return nil, "x509.extension.new: expect string at #2"
  elseif data and type(data) ~= "table" and type(data) ~= "string" then
    return nil, "x509.extension.new: expect nil, string a table at #3"
  end
  local subject, issuer, key
  if type(data) == "table" then
    subject, err = certificate(data, "subject")
    if err then
      return nil, err
    end
    issuer, err = certificate(data, "issuer")
    if err then
      return nil, err
    end
    key = data.issuer_pkey
    if key ~= nil and not require("resty.openssl.pkey").istype(key) then
      return nil, "x509.extension.new: expect data.issuer_pkey to be a resty.openssl.pkey instance"
    end
    key = key and key.ctx.id
  end
  if type(data) == "string" then
    value, err = section(data, value)
    if err then
      return nil, "x509.extension.new: " .. err
    end
  end
  local made
  made, err = ops.extension_make(found.sn, value, subject, issuer, key)
  if not made then
    return nil, "x509.extension.new: " .. err
  end
  return _M._from(made)
end

--- A copy of the extension behind a `ctx`.
function _M.dup(ctx)
  if not is_ctx(ctx) then
    return nil, "x509.extension.dup: expect a x509.extension ctx at #1"
  end
  return _M._from(ops.extension_dup(ctx.id))
end

--- An extension from its bytes.
function _M.from_der(value, id, critical)
  local found, err = object.identifier(id)
  if not found then
    return nil, "x509.extension.from_der: " .. err
  elseif type(value) ~= "string" then
    return nil, "x509.extension.from_der: expect string at #1"
  end
  return _M._from(ops.extension_new(found.id, critical, value))
end

--- An extension of a list of names.
function _M.from_data(any, id, critical)
  local found, err = object.identifier(id)
  if not found then
    return nil, "x509.extension.from_der: " .. err
  elseif not altname.istype(any) then
    return nil, "x509.extension.from_data: expect a table with ctx at #1"
  end
  return _M._from(ops.extension_new(found.id, critical, ops.names_write(any.ctx.id)))
end

--- The list of names of an extension.
function _M.to_data(extension, nid)
  if not istype(extension) then
    return nil, "x509.extension.dup: expect a x509.extension ctx at #1"
  elseif type(nid) ~= "number" then
    return nil, "x509.extension.to_data: expect a table at #2"
  elseif nid ~= SUBJECT_ALT_NAME then
    return nil, ("x509.extension:to_data: don't know how to convert to NID %d"):format(nid)
  end
  local id, err = ops.names_new(extension:to_der())
  if not id then
    return nil, "x509.extension:to_data: " .. err
  end
  return altname._from(id)
end

--- The bytes.
function _M:to_der()
  local _, _, der = ops.extension_get(self.ctx.id)
  return der
end

--- The object that says which extension it is.
function _M:get_object()
  return (ops.extension_get(self.ctx.id))
end

function _M:get_critical()
  local _, critical = ops.extension_get(self.ctx.id)
  return critical
end

function _M:set_critical(critical)
  return ops.extension_set_critical(self.ctx.id, critical)
end

--- The extension as OpenSSL prints it.
function _M:tostring()
  local _, _, _, text = ops.extension_get(self.ctx.id)
  return text
end
_M.text = _M.tostring
mt.__tostring = _M.tostring

return _M

--- `resty.openssl.ctx`: contexts keep providers apart; with one provider there is nothing to keep.

local _M = {}

--- A context, of the request or of the worker; with a configuration file it would load providers.
function _M.new(_, conf_file)
  if conf_file then
    error("not supported: resty.openssl.ctx.new with a configuration file", 2)
  end
  return true
end

function _M.free()
  return true
end

function _M.get_libctx()
  return nil
end

return _M

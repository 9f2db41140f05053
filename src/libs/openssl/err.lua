--- `resty.openssl.err`: there is no queue of errors behind these modules; each is said where it happens.

local function format_error(context)
  return tostring(context) .. " failed"
end

return {
  format_error = format_error,
  format_all_error = format_error,
  get_last_error_code = function()
    return 0
  end,
  get_lib_error_string = function()
    return "unknown library"
  end,
  get_reason_error_string = function()
    return ""
  end,
}

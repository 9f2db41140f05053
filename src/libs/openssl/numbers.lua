--- `resty.openssl.rsa`, `.ec`, `.ecx` and `.dh`: the names of what a key of the kind is made of.

local PARAMS = {
  rsa = { "n", "e", "d", "p", "q", "dmp1", "dmq1", "iqmp" },
  ec = { "group", "public", "private", "x", "y" },
  ecx = { "public", "private" },
  dh = { "public", "private", "p", "q", "g" },
}

return { params = PARAMS[(...):match("%w+$")] }

-- What has been registered: kind ("assertion", "modifier", "matcher", ...) -> name -> entry.
return { assertion = {}, modifier = {}, matcher = {} }

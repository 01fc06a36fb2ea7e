package command

import (
	"bytes"
	"fmt"
	"io"
	"net/http"

	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"
)

// Carrier carries requests to the routes of the API without a network, for a process that has the service inside.
func (s *Command) Carrier() http.RoundTripper {
	app := fiber.New(s.AppConfig())
	s.Mount(app)
	return carrier{app.Handler()}
}

type carrier struct{ handle fasthttp.RequestHandler }

// RoundTrip implements http.RoundTripper. A request is not given up before it is answered: the API's own deadline bounds it.
func (c carrier) RoundTrip(r *http.Request) (*http.Response, error) {
	var body []byte
	if r.Body != nil {
		var err error
		if body, err = io.ReadAll(r.Body); err != nil {
			return nil, fmt.Errorf("command: read the request: %w", err)
		}
		_ = r.Body.Close() // it is read
	}
	var request fasthttp.Request
	request.Header.SetMethod(r.Method)
	request.SetRequestURI(r.URL.RequestURI())
	request.Header.SetHost(r.URL.Host)
	for name, values := range r.Header {
		for _, v := range values {
			request.Header.Add(name, v)
		}
	}
	request.SetBodyRaw(body)
	var ctx fasthttp.RequestCtx
	ctx.Init(&request, nil, nil)

	c.handle(&ctx)

	answer := &http.Response{StatusCode: ctx.Response.StatusCode(), ProtoMajor: 1, ProtoMinor: 1, Header: http.Header{}, Request: r}
	ctx.Response.Header.VisitAll(func(name, value []byte) { answer.Header.Add(string(name), string(value)) })
	text := bytes.Clone(ctx.Response.Body())
	answer.ContentLength, answer.Body = int64(len(text)), io.NopCloser(bytes.NewReader(text))
	return answer, nil
}
